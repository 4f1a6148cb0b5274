//! `lucarne decode`: what a modifier, a format or a descriptor is.

mod descriptor;
mod format;
mod holders;

use clap::Args;
use lucarne::{Format, Modifier};
use serde::Serialize;

use crate::output::{Output, bold, nearest};
use crate::{Answer, Failure};
use descriptor::Descriptor;
use format::FormatFacts;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne decode 0x0300000000606014    a modifier, by its code
  lucarne decode I915_FORMAT_MOD_4_TILED
  lucarne decode AB24                  a format, by its four characters
  lucarne decode XRGB8888
  lucarne decode --fd 4242:17          descriptor 17 of process 4242")]
pub(crate) struct Options {
    /// A modifier or a format: its number, its name or its four characters.
    #[arg(required_unless_present = "fd", value_name = "WHAT")]
    what: Option<String>,
    /// A file descriptor of a process: its number and the descriptor's, `PID:FD`.
    #[arg(long, value_name = "PID:FD", conflicts_with = "what")]
    fd: Option<descriptor::Place>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decoded {
    Format(FormatFacts),
    Modifier(ModifierFacts),
}

/// What a modifier's code says.
#[derive(Debug, Serialize)]
struct ModifierFacts {
    code: String,
    vendor: String,
    kernel_name: Option<&'static str>,
    meaning: String,
    /// How many memory planes it adds for data of its own; nothing where that is not known.
    auxiliary_planes: Option<u8>,
}

impl ModifierFacts {
    fn of(modifier: Modifier) -> Self {
        Self {
            code: format!("{:#018x}", modifier.code()),
            vendor: modifier.vendor().to_string(),
            kernel_name: modifier.kernel_name(),
            meaning: modifier.to_string(),
            auxiliary_planes: modifier.auxiliary_planes(),
        }
    }

    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!("{} is a modifier", bold(&self.code)))?;
        output.field("meaning", &self.meaning)?;
        output.field("vendor", &self.vendor)?;
        if let Some(name) = self.kernel_name {
            output.field("kernel", name)?;
        }
        let planes = match self.auxiliary_planes {
            Some(0) => "none besides the format's own".to_owned(),
            Some(planes) => format!("{planes} besides the format's own"),
            None => "not known: this layout is not in the tables".to_owned(),
        };
        output.field("planes", planes)
    }
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    if let Some(place) = options.fd {
        let descriptor = Descriptor::look_at(place)?;
        if output.is_json() {
            output.json(&descriptor)?;
        } else {
            descriptor.print(output)?;
        }
        return Ok(Answer::Yes);
    }
    let what = options.what.as_deref().unwrap_or_default();
    let found = decode(what)?;
    if output.is_json() {
        output.json(&found)?;
        return Ok(Answer::Yes);
    }
    for one in &found {
        match one {
            Decoded::Format(facts) => facts.print(output)?,
            Decoded::Modifier(facts) => facts.print(output)?,
        }
    }
    Ok(Answer::Yes)
}

/// Everything that a text can mean. A small number may be both: 0 is LINEAR, and the code of no format.
fn decode(text: &str) -> Result<Vec<Decoded>, Failure> {
    let mut found = Vec::new();
    let is_invalid = number(text).is_some_and(|code| Modifier::new(code).is_none());
    if is_invalid {
        return Err(format!(
            "{text} is DRM_FORMAT_MOD_INVALID: no modifier, but the word for \"a layout that only the driver knows\""
        )
        .into());
    }
    if let Ok(format) = text.parse::<Format>()
        && (format.info().is_some() || is_printable(format))
    {
        found.push(Decoded::Format(FormatFacts::of(format)));
    }
    let is_known =
        |found: &Decoded| matches!(found, Decoded::Format(facts) if facts.name.is_some());
    if let Ok(modifier) = text.parse::<Modifier>()
        && !found.iter().any(is_known)
    {
        found.push(Decoded::Modifier(ModifierFacts::of(modifier)));
    }
    if found.is_empty() {
        return Err(unknown(text).into());
    }
    Ok(found)
}

/// Whether the code is four characters that people can read.
fn is_printable(format: Format) -> bool {
    format
        .fourcc()
        .to_le_bytes()
        .iter()
        .all(u8::is_ascii_graphic)
}

fn number(text: &str) -> Option<u64> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok()
}

fn unknown(text: &str) -> String {
    let names = Format::ALL.iter().map(|info| info.name);
    let alike = match nearest(text, names).as_slice() {
        [] => String::new(),
        names => format!("; formats that look like it: {}", names.join(", ")),
    };
    format!(
        "{text:?} is neither a format nor a modifier{alike}. Codes are written in hexadecimal, as 0x34325258"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Decoded {
        let mut found = decode(text).expect("known");
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn codes_names_and_characters_are_understood() {
        for text in ["XRGB8888", "XR24", "0x34325258"] {
            let Decoded::Format(facts) = one(text) else {
                panic!("{text}")
            };
            assert_eq!(facts.name.as_deref(), Some("XRGB8888"));
        }
        for text in ["linear", "0x0", "0x0000000000000000"] {
            let Decoded::Modifier(facts) = one(text) else {
                panic!("{text}")
            };
            assert_eq!(facts.code, "0x0000000000000000");
        }
    }

    #[test]
    fn what_is_unknown_is_told_with_what_looks_like_it() {
        let error = decode("XRGB888").expect_err("no such format").to_string();
        assert!(error.contains("XRGB8888"), "{error}");
        let error = decode("0x00ffffffffffffff")
            .expect_err("no modifier")
            .to_string();
        assert!(error.contains("DRM_FORMAT_MOD_INVALID"), "{error}");
    }
}
