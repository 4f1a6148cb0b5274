#!/bin/sh
# Tries what this machine's drivers can share, and writes a report: sh run.sh --help
# Needs glibc 2.36 or newer and the drivers that are installed; installs nothing, and changes nothing but the report's folder.
folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 2
exec "$folder/bin/run" run-kit --kit "$folder" "$@"
