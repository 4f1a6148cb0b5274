//! `lucarne caps`: what the devices of this machine can share.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use lucarne::negotiate::OfferEntry;
use lucarne::{Format, Support, Usage};
use serde::{Deserialize, Serialize};

use crate::cli_values::{format_value, usage_value};
use crate::devices::{self, Api, Device, faults};
use crate::new_file::NewFile;
use crate::output::{Output, bold, format_name, layout_name, table};
use crate::{Answer, Failure};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne caps                                everything that every device lists
  lucarne caps --api vulkan --format AB24     ABGR8888 in Vulkan
  lucarne caps --usage render                 what can be drawn into
  lucarne caps --record offers/               one file for each device, for `lucarne explain --from`")]
pub(crate) struct Options {
    /// Only this API; may be given several times.
    #[arg(long, value_name = "API")]
    api: Vec<Api>,
    /// Only this format: its name or its four characters.
    #[arg(long, value_name = "FORMAT", value_parser = format_value)]
    format: Option<Format>,
    /// What is to be done with the images: render, sample, transfer-source, transfer-destination, storage; several
    /// with commas.
    #[arg(long, value_name = "USAGE", default_value = "sample", value_parser = usage_value)]
    usage: Usage,
    /// Write each device's offer to a file of its own in this folder.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
}

/// What every device can share, and which could not be asked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Caps {
    pub(crate) devices: Vec<Device>,
    pub(crate) missing: Vec<Missing>,
}

/// A device, or a whole API, that could not be asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) api: Api,
    pub(crate) reason: String,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let apis = if options.api.is_empty() {
        &Api::ALL[..]
    } else {
        &options.api[..]
    };
    let mut found = Caps::default();
    for api in apis {
        let (mut devices, reasons) = devices::all(*api, options.usage);
        for device in &mut devices {
            if let Some(format) = options.format {
                device.offer.entries.retain(|entry| entry.format == format);
            }
        }
        if !output.is_json() {
            for device in &devices {
                print(device, output)?;
            }
            for reason in &reasons {
                output.line(format_args!("{}: {reason}\n", bold(api.name())))?;
            }
        }
        found.devices.extend(devices);
        let missing = reasons
            .into_iter()
            .map(|reason| Missing { api: *api, reason });
        found.missing.extend(missing);
    }
    if let Some(folder) = &options.record {
        record(&found.devices, folder, output)?;
    }
    if output.is_json() {
        output.json(&found)?;
    }
    let lists = |device: &Device| !device.offer.entries.is_empty();
    Ok(if found.devices.iter().any(lists) {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn print(device: &Device, output: &mut Output) -> Result<(), Failure> {
    let offer = &device.offer;
    let title = format!("{}:{}", device.api, device.number);
    output.line(format_args!("{}  {}", bold(&title), offer.name))?;
    output.field("driver", &device.driver)?;
    output.field("device", &offer.device)?;
    for (path, support) in &offer.paths {
        output.field(path.name(), answer(support))?;
    }
    output.field("fences out", answer(&offer.fences.export))?;
    output.field("fences in", answer(&offer.fences.import))?;
    for strike in &offer.withdrawn {
        let format = strike
            .format
            .map_or_else(|| "every format".to_owned(), |format| format.to_string());
        output.field(
            "withdrawn",
            format_args!("{}, {format}: {}", strike.path, strike.reason),
        )?;
    }
    // JSON has the others too.
    for quirk in faults(&device.quirks) {
        output.field("quirk", quirk)?;
    }
    let rows = Group::of_entries(&offer.entries);
    if rows.is_empty() {
        output.line("  lists nothing\n")?;
        return Ok(());
    }
    let mut lines = table(&[
        "MEMORY", "LAYOUT", "CAN", "FOR", "UP TO", "PLANES", "FORMATS",
    ]);
    for Group { shape, formats } in rows {
        lines.add_row([
            shape.memory,
            shape.layout,
            shape.can,
            shape.usage,
            shape.largest,
            shape.planes.to_string(),
            formats.join(" "),
        ]);
    }
    output.line(format_args!("{lines}\n"))
}

fn answer(support: &Support) -> String {
    if support.is_yes() {
        "yes".to_owned()
    } else {
        format!("no: {}", support.reason())
    }
}

/// What entries of several formats have in common, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) memory: String,
    /// The modifier's meaning.
    pub(crate) layout: String,
    pub(crate) can: String,
    pub(crate) usage: String,
    pub(crate) largest: String,
    pub(crate) planes: u8,
}

/// Entries that differ by their format alone, together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    #[serde(flatten)]
    pub(crate) shape: Shape,
    pub(crate) formats: Vec<String>,
}

impl Shape {
    fn of(entry: &OfferEntry) -> Self {
        let mut can = Vec::new();
        if entry.exportable {
            can.push("export");
        }
        if entry.importable {
            can.push("import");
        }
        if entry.external_only {
            can.push("external-only");
        }
        Self {
            memory: entry.path.name().to_owned(),
            layout: layout_name(entry.tiling),
            can: can.join(", "),
            usage: entry.usage.to_string().to_lowercase().replace(" | ", ", "),
            largest: entry.max_extent.to_string(),
            planes: entry.planes,
        }
    }
}

impl Group {
    pub(crate) fn of_entries(entries: &[OfferEntry]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for entry in entries {
            let (shape, format) = (Shape::of(entry), format_name(entry.format));
            match groups.iter_mut().find(|group| group.shape == shape) {
                Some(group) => group.formats.push(format),
                None => groups.push(Self {
                    shape,
                    formats: vec![format],
                }),
            }
        }
        groups
    }
}

fn record(devices: &[Device], folder: &Path, output: &mut Output) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("making the folder {}: {error}", folder.display()))?;
    for device in devices {
        let path = folder.join(format!("{}-{}.json", device.api, device.number));
        write(&path, device).map_err(|error| format!("writing {}: {error}", path.display()))?;
        if !output.is_json() {
            output.line(format_args!("wrote {}", path.display()))?;
        }
    }
    Ok(())
}

fn write(path: &Path, device: &Device) -> Result<(), Failure> {
    let mut file = NewFile::create(path)?;
    serde_json::to_writer_pretty(&mut file, device)?;
    file.write_all(b"\n")?;
    file.finish()?;
    Ok(())
}
