//! The devices of a machine, and what their pairs offer each other.

use std::fmt;

use lucarne::negotiate::{Agreement, Strike};
use lucarne::{
    Extent, Fence, Format, MemoryPath, Modifier, Request, Requirement, Result, egl, negotiate,
    vulkan,
};

use crate::end::{Api, Consumer, Producer};
use crate::pattern;
use crate::report::{Outcome, Row};

/// One pixel, prime numbers, a width no driver aligns to, a height that is not a multiple of 16.
pub const ODD_SIZES: [Extent; 4] = [
    Extent::new(1, 1),
    Extent::new(3, 5),
    Extent::new(1366, 767),
    Extent::new(1600, 1068),
];

/// The size every format is shared at.
const SMALL: Extent = Extent::new(37, 21);

/// Which sizes to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Every format at one small size.
    Small,
    /// Two formats at odd sizes, small ones only: for emulated machines.
    OddSmall,
    /// Two formats at all odd sizes.
    Odd,
}

/// Everything that can share.
#[derive(Debug)]
pub struct Machine {
    // Dropped in this order.
    gl: Vec<egl::Device>,
    vulkan: Vec<vulkan::Device>,
    /// The same devices once more, in another instance.
    others: Vec<vulkan::Device>,
    instances: Vec<vulkan::Instance>,
    notes: Vec<String>,
}

/// One thing to share.
#[derive(Clone, Debug)]
pub struct Case {
    producer: usize,
    consumer: usize,
    agreement: Agreement,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agreement = &self.agreement;
        write!(
            f,
            "{} {} {}",
            agreement.path(),
            agreement.format,
            agreement.extent
        )?;
        for modifier in &agreement.modifiers {
            write!(f, " {modifier}")?;
        }
        Ok(())
    }
}

impl Machine {
    /// Opens every Vulkan device, twice, and every EGL device, with the validation layer where it is installed.
    ///
    /// # Errors
    ///
    /// Without Vulkan. Devices that do not open are left out, and [`Machine::notes`] says why.
    pub fn open() -> Result<Self> {
        let mut notes = Vec::new();
        let mut instances = Vec::new();
        let mut opened = [Vec::new(), Vec::new()];
        for devices in &mut opened {
            let instance = instance(&mut notes)?;
            for adapter in instance.adapters()? {
                match adapter.open() {
                    Ok(device) => devices.push(device),
                    Err(error) => notes.push(format!("Vulkan on {}: {error}", adapter.name())),
                }
            }
            instances.push(instance);
        }
        let mut gl = Vec::new();
        for adapter in egl::Adapter::enumerate().unwrap_or_else(|error| {
            notes.push(format!("OpenGL: {error}"));
            Vec::new()
        }) {
            match adapter.open() {
                Ok(device) => gl.push(device),
                Err(error) => notes.push(format!("{adapter:?}: {error}")),
            }
        }
        notes.dedup();
        let [vulkan, others] = opened;
        Ok(Self {
            gl,
            vulkan,
            others,
            instances,
            notes,
        })
    }

    /// What could not be opened, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The names and drivers of the devices, for the report's head.
    pub fn devices(&self) -> Vec<String> {
        let vulkan = self.vulkan.iter().map(|device| {
            let adapter = device.adapter();
            format!("Vulkan: {} ({})", adapter.name(), adapter.driver())
        });
        let gl = self
            .gl
            .iter()
            .map(|device| format!("OpenGL: {} ({})", device.renderer(), device.version()));
        vulkan.chain(gl).collect()
    }

    /// Producers, in the order of [`Case`]'s indices.
    fn producers(&self) -> Vec<&dyn Producer> {
        let vulkan = self.vulkan.iter().map(|device| device as &dyn Producer);
        vulkan
            .chain(self.gl.iter().map(|device| device as &dyn Producer))
            .collect()
    }

    /// Consumers, in the order of [`Case`]'s indices.
    fn consumers(&self) -> Vec<&dyn Consumer> {
        let vulkan = self.others.iter().map(|device| device as &dyn Consumer);
        vulkan
            .chain(self.gl.iter().map(|device| device as &dyn Consumer))
            .collect()
    }

    /// Everything that the machine's pairs offer each other over `path`, and a row for each pair that offers nothing.
    ///
    /// # Errors
    ///
    /// A driver's, when it does not answer.
    pub fn cases(&self, path: MemoryPath, size: Size) -> Result<(Vec<Case>, Vec<Row>)> {
        let mut cases = Vec::new();
        let mut rows = Vec::new();
        for (p, producer) in self.producers().into_iter().enumerate() {
            for (c, consumer) in self.consumers().into_iter().enumerate() {
                let found = pair_cases((p, producer), (c, consumer), path, size)?;
                match found {
                    Ok(found) => cases.extend(found),
                    Err(reason) => rows.push(Row {
                        from: producer.api(),
                        to: consumer.api(),
                        path: path.name(),
                        format: None,
                        modifier: None,
                        extent: None,
                        emulated: false,
                        outcome: Outcome::NotOffered(reason),
                    }),
                }
            }
        }
        Ok((cases, rows))
    }

    /// Shares two frames over one image, and compares every pixel of both.
    pub fn run(&self, case: &Case) -> Row {
        let producers = self.producers();
        let consumers = self.consumers();
        let (producer, consumer) = (producers[case.producer], consumers[case.consumer]);
        let mut row = Row {
            from: producer.api(),
            to: consumer.api(),
            path: case.agreement.path().name(),
            format: case.agreement.format.name(),
            modifier: case.agreement.modifiers.first().map(Modifier::to_string),
            extent: Some(case.agreement.extent.to_string()),
            emulated: false,
            outcome: Outcome::Passed,
        };
        let reported = self.reports().len();
        match share(producer, consumer, &case.agreement) {
            Ok(emulated) => row.emulated = emulated,
            Err(reason) => row.outcome = Outcome::Failed(reason),
        }
        let reports = self.reports();
        if let Some(report) = reports.get(reported) {
            row.outcome = Outcome::Failed(format!("validation: {report}"));
        }
        row
    }

    /// What the validation layer has found, less what it finds wrong with a driver that hides its features.
    fn reports(&self) -> Vec<String> {
        let hidden = self
            .vulkan
            .iter()
            .any(|device| device.adapter().hides_modifier_features());
        self.instances
            .iter()
            .flat_map(vulkan::Instance::validation_messages)
            .filter(|message| !(hidden && blames_modifier_features(message)))
            .collect()
    }
}

/// A report that a modifier's image lacks a feature because the layer found no features at all.
fn blames_modifier_features(message: &str) -> bool {
    message.contains("VkFormatFeatureFlags (0x0)")
        && message.contains("VK_IMAGE_TILING_DRM_FORMAT_MODIFIER_EXT")
}

fn instance(notes: &mut Vec<String>) -> Result<vulkan::Instance> {
    let mut options = vulkan::InstanceOptions {
        application: "lucarne-conformance".to_owned(),
        validation: true,
    };
    vulkan::Instance::new(&options).or_else(|error| {
        notes.push(format!("not validated: {error}"));
        options.validation = false;
        vulkan::Instance::new(&options)
    })
}

type Found = std::result::Result<Vec<Case>, String>;

fn pair_cases(
    (p, producer): (usize, &dyn Producer),
    (c, consumer): (usize, &dyn Consumer),
    path: MemoryPath,
    size: Size,
) -> Result<Found> {
    let (from, to) = (producer.offer()?, consumer.offer()?);
    let mut cases = Vec::new();
    let mut refusal = None;
    let formats: Vec<Format> = match size {
        Size::Small => Format::ALL.iter().map(|info| info.format).collect(),
        Size::Odd | Size::OddSmall => vec![Format::XRGB8888, Format::ABGR8888],
    };
    let sizes: Vec<Extent> = match size {
        Size::Small => vec![SMALL],
        Size::OddSmall => ODD_SIZES
            .into_iter()
            .filter(|one| one.width < 100)
            .collect(),
        Size::Odd => ODD_SIZES.to_vec(),
    };
    for format in formats {
        for &extent in &sizes {
            let mut request = Request::new(extent)
                .formats(&[format])
                .paths(&[path])
                .usage(producer.usage(), consumer.usage());
            // One case for each modifier, tiled and linear: each found is struck out until none is left.
            loop {
                let agreement = match negotiate(&from, &to, &request) {
                    Ok(agreement) => agreement,
                    Err(refused) => {
                        refusal.get_or_insert_with(|| {
                            let rung = refused.rungs.iter().rfind(|one| one.rung.path() == path);
                            rung.map_or_else(String::new, |one| one.reason.clone())
                        });
                        break;
                    }
                };
                let modifiers = agreement.modifiers.clone();
                for case in split(&agreement) {
                    cases.push(Case {
                        producer: p,
                        consumer: c,
                        agreement: case,
                    });
                }
                if path != MemoryPath::DmaBuf {
                    break;
                }
                for modifier in modifiers {
                    request = request.strike(Strike {
                        path,
                        format: Some(format),
                        modifier: Some(modifier),
                        reason: "is a case of its own".to_owned(),
                    });
                }
            }
        }
    }
    if cases.is_empty() {
        return Ok(Err(refusal.unwrap_or_default()));
    }
    Ok(Ok(cases))
}

/// The same agreement once for each of its modifiers.
fn split(agreement: &Agreement) -> Vec<Agreement> {
    if agreement.modifiers.is_empty() {
        return vec![agreement.clone()];
    }
    agreement
        .modifiers
        .iter()
        .map(|modifier| Agreement {
            modifiers: vec![*modifier],
            ..agreement.clone()
        })
        .collect()
}

/// Whether the memory was emulated, or what went wrong.
fn share(
    producer: &dyn Producer,
    consumer: &dyn Consumer,
    agreement: &Agreement,
) -> std::result::Result<bool, String> {
    let words = |what: &'static str| move |error: lucarne::Error| format!("{what}: {error}");
    let info = agreement.format.info().ok_or_else(|| {
        let sentence = format!("{} is no known format", agreement.format);
        Requirement::other(sentence).to_string()
    })?;
    let source = producer.export(agreement).map_err(words("export"))?;
    let sink = consumer
        .import(source.frame(), agreement)
        .map_err(words("import"))?;
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, agreement.extent, frame);
        let acquire = source.write(&gate, &bytes).map_err(words("write"))?;
        let (pixels, release) = sink.read(&acquire).map_err(words("read"))?;
        pattern::compare(info, agreement.extent, frame, &pixels)?;
        gate = release;
    }
    Ok(source.frame().is_emulated())
}

impl Machine {
    /// Whether an API has a device here at all.
    pub fn has(&self, api: Api) -> bool {
        match api {
            Api::Vulkan => !self.vulkan.is_empty(),
            Api::OpenGl => !self.gl.is_empty(),
        }
    }
}
