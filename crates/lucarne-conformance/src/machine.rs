//! The devices of a machine, and running cases on them.

use lucarne::cpu::Allocator;
use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, MemoryPath, Modifier, Result, cpu, egl, gbm, vulkan};

use crate::cases::{self, Case, Set, Side};
use crate::ends::{Api, Consumer, CpuEnd, GbmEnd, GlEnd, Producer, Sink, Source, VulkanEnd};
use crate::late::{self, Late};
use crate::opening::{self, End, Note, Numbered, Wanted};
use crate::placement::{self, Placement};
use crate::report::{Outcome, Ran, Row, Seen};
use crate::{pattern, validation};

/// Everything that can share.
#[derive(Debug)]
pub struct Machine {
    wanted: Wanted,
    // Dropped in this order. Each device has the number that its API gives it, from 0.
    gl: Vec<(usize, egl::Device)>,
    gbm: Vec<(usize, gbm::Device)>,
    cpu: Vec<(usize, cpu::Device)>,
    vulkan: Vec<(usize, vulkan::Device)>,
    /// The same devices once more, in another instance.
    others: Vec<(usize, vulkan::Device)>,
    instances: Vec<vulkan::Instance>,
    notes: Vec<Note>,
}

impl Machine {
    /// Opens every Vulkan device, twice, with the validation layer where it is installed; every EGL device; every device
    /// on which GBM allocates; and every allocator of the CPU.
    ///
    /// # Errors
    ///
    /// Without Vulkan. Devices that do not open are left out, and [`Machine::notes`] says why.
    pub fn open() -> Result<Self> {
        Self::of(Wanted::All)
    }

    /// Opens one device for each end, and nothing else, without the validation layer: for programs that cannot rely on
    /// the others, as a driver may crash.
    ///
    /// # Errors
    ///
    /// When Vulkan is at one end and cannot be loaded. A device that does not open is left out, and [`Machine::notes`]
    /// says why.
    pub fn of_pair(from: Numbered, to: Numbered) -> Result<Self> {
        Self::of(Wanted::Pair { from, to })
    }

    fn of(wanted: Wanted) -> Result<Self> {
        let mut notes = Vec::new();
        let mut instances = Vec::new();
        let mut opened = [Vec::new(), Vec::new()];
        for (end, devices) in [End::From, End::To].into_iter().zip(&mut opened) {
            if wanted.opens_vulkan(end) {
                let instance = opening::instance(wanted, &mut notes)?;
                *devices = opening::vulkan_devices(&instance, wanted, end, &mut notes)?;
                instances.push(instance);
            }
        }
        let gl = opening::egl_devices(wanted, &mut notes);
        let gbm = opening::gbm_devices(wanted, &mut notes);
        let cpu = opening::cpu_devices(wanted, &mut notes);
        notes.dedup();
        let [vulkan, others] = opened;
        Ok(Self {
            wanted,
            gl,
            gbm,
            cpu,
            vulkan,
            others,
            instances,
            notes,
        })
    }

    /// What could not be opened, and why.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The names and drivers of the devices, for the report's head.
    pub fn devices(&self) -> Vec<String> {
        let vulkan = self.vulkan.iter().map(|(_, device)| {
            let adapter = device.adapter();
            format!("Vulkan: {} ({})", adapter.name(), adapter.driver())
        });
        let gl = self
            .gl
            .iter()
            .map(|(_, device)| format!("OpenGL: {} ({})", device.renderer(), device.version()));
        let gbm = self
            .gbm
            .iter()
            .map(|(_, device)| format!("GBM: {} on {}", device.backend(), device.id()));
        let cpu = self
            .cpu
            .iter()
            .map(|(_, device)| format!("CPU: {}", device.adapter().allocator()));
        vulkan.chain(gl).chain(gbm).chain(cpu).collect()
    }

    /// Producers over a path, in the order of [`Case`]'s indices.
    fn producers(&self, path: MemoryPath) -> Vec<Box<dyn Producer + '_>> {
        let mut all: Vec<Box<dyn Producer + '_>> = Vec::new();
        let wants = |api, number: &usize| self.wanted.is_end(End::From, api, *number);
        for (_, device) in self.vulkan.iter().filter(|(n, _)| wants(Api::Vulkan, n)) {
            all.push(Box::new(VulkanEnd(device)));
        }
        for (_, device) in self.gl.iter().filter(|(n, _)| wants(Api::OpenGl, n)) {
            all.push(Box::new(GlEnd(device)));
        }
        for (_, allocator) in self.gbm.iter().filter(|(n, _)| wants(Api::Gbm, n)) {
            for (_, writer) in &self.vulkan {
                all.push(Box::new(GbmEnd { allocator, writer }));
            }
        }
        for (_, device) in self.cpu.iter().filter(|(n, _)| wants(Api::Cpu, n)) {
            // Every one makes host memory, in the same way.
            let host = *device.adapter().allocator() == Allocator::HostMemory;
            if host != (path == MemoryPath::DmaBuf) {
                all.push(Box::new(CpuEnd(device)));
            }
        }
        all
    }

    /// Consumers, in the order of [`Case`]'s indices. One CPU is enough: they differ in what they allocate only.
    fn consumers(&self) -> Vec<Box<dyn Consumer + '_>> {
        let mut all: Vec<Box<dyn Consumer + '_>> = Vec::new();
        let wants = |api, number: &usize| self.wanted.is_end(End::To, api, *number);
        for (_, device) in &self.others {
            all.push(Box::new(VulkanEnd(device)));
        }
        for (_, device) in self.gl.iter().filter(|(n, _)| wants(Api::OpenGl, n)) {
            all.push(Box::new(GlEnd(device)));
        }
        let mut cpu = self.cpu.iter().filter(|(n, _)| wants(Api::Cpu, n));
        if let Some((_, device)) = cpu.next_back() {
            all.push(Box::new(CpuEnd(device)));
        }
        all
    }

    /// Everything that the machine's pairs offer each other over `path`, and a row for each pair that offers nothing.
    ///
    /// # Errors
    ///
    /// A driver's, when it does not answer.
    pub fn cases(&self, path: MemoryPath, set: Set) -> Result<(Vec<Case>, Vec<Row>)> {
        let mut cases = Vec::new();
        let mut rows = Vec::new();
        if set == Set::Placements && placement::allocators(path).is_empty() {
            return Ok((cases, rows));
        }
        // Drivers are asked once for each end, not for each pair: GBM allocates for every answer.
        let (producers, consumers) = (self.producers(path), self.consumers());
        let sides = consumers.iter().enumerate().map(|(number, end)| {
            Ok(Side {
                number,
                usage: end.usage(),
                offer: end.offer()?,
            })
        });
        let sides: Vec<Side> = sides.collect::<Result<_>>()?;
        for (number, producer) in producers.iter().enumerate() {
            if set == Set::Placements && !adopts(producer.api(), path) {
                continue;
            }
            let from = Side {
                number,
                usage: producer.usage(),
                offer: producer.offer()?,
            };
            for (consumer, to) in consumers.iter().zip(&sides) {
                match cases::of_pair(&from, to, path, set) {
                    Ok(found) => cases.extend(found),
                    Err(not) => rows.push(Row {
                        needs: not.needs,
                        ..Row::new(
                            producer.as_ref(),
                            consumer.as_ref(),
                            path,
                            Outcome::NotOffered(not.reason),
                        )
                    }),
                }
            }
        }
        Ok((cases, rows))
    }

    /// Shares two frames over one image, and compares every pixel of both.
    pub fn run(&self, case: &Case) -> Row {
        self.run_and_show(case).row
    }

    /// As [`Machine::run`], with what was read.
    pub fn run_and_show(&self, case: &Case) -> Ran {
        let path = case.agreement.path();
        let (producers, consumers) = (self.producers(path), self.consumers());
        let producer = producers[case.producer].as_ref();
        let consumer = consumers[case.consumer].as_ref();
        let mut row = Row::new(producer, consumer, path, Outcome::Passed);
        row.format = case.agreement.format.name().map(str::to_owned);
        row.modifier = case.agreement.modifiers.first().map(Modifier::to_string);
        row.extent = Some(case.agreement.extent.to_string());
        row.placement = case
            .foreign
            .as_ref()
            .map(|(allocator, placement)| format!("{allocator}, {placement}"));
        let reported = self.reports().len();
        let mut seen = None;
        match share(producer, consumer, case, &mut seen) {
            Ok(shared) => {
                row.emulated = shared.emulated;
                row.copies = Some(shared.copies);
            }
            Err(outcome) => row.outcome = outcome,
        }
        if let Some(report) = self.reports().get(reported) {
            row.outcome = Outcome::Failed(format!("validation: {report}"));
        }
        Ran { row, seen }
    }

    /// Hands frames over as soon as the work on them is submitted, and sees whether the reader waits: in memory that the
    /// producer has allocated.
    pub fn run_late(&self, case: &Case) -> Late {
        let (producers, consumers) = (self.producers(case.agreement.path()), self.consumers());
        let producer = producers[case.producer].as_ref();
        let consumer = consumers[case.consumer].as_ref();
        let reported = self.reports().len();
        let reason = match ends(producer, consumer, case) {
            Ok((source, sink)) => {
                let late = late::hand_over(source.as_ref(), sink.as_ref(), &case.agreement);
                match self.reports().get(reported) {
                    Some(report) => format!("validation: {report}"),
                    None => return late,
                }
            }
            Err(Outcome::Failed(reason) | Outcome::Refused(reason)) => reason,
            Err(outcome) => format!("{outcome:?}"),
        };
        Late::Failed { reason }
    }

    /// Makes a case's frame, imports it, and lets both go, without a pixel: for counting what drivers keep.
    ///
    /// # Errors
    ///
    /// As [`Outcome::Failed`] would say it.
    pub fn come_and_go(&self, case: &Case) -> std::result::Result<(), String> {
        let (producers, consumers) = (self.producers(case.agreement.path()), self.consumers());
        let (producer, consumer) = (&producers[case.producer], &consumers[case.consumer]);
        let both = ends(producer.as_ref(), consumer.as_ref(), case);
        both.map(drop).map_err(|outcome| format!("{outcome:?}"))
    }

    /// From where to where a case goes.
    pub fn direction(&self, case: &Case) -> (Api, Api) {
        let (producers, consumers) = (self.producers(case.agreement.path()), self.consumers());
        (
            producers[case.producer].api(),
            consumers[case.consumer].api(),
        )
    }

    /// Runs every case of a set; `progress` hears of each before it begins.
    ///
    /// # Errors
    ///
    /// As for [`Machine::cases`].
    pub fn run_all(
        &self,
        path: MemoryPath,
        set: Set,
        mut progress: impl FnMut(usize, usize, &Case),
    ) -> Result<Vec<Row>> {
        let (cases, mut rows) = self.cases(path, set)?;
        if set != Set::Formats {
            // Said once.
            rows.clear();
        }
        for (number, case) in cases.iter().enumerate() {
            progress(number + 1, cases.len(), case);
            rows.push(self.run(case));
        }
        Ok(rows)
    }

    /// What the validation layer has found.
    fn reports(&self) -> Vec<String> {
        let sides = self.instances.iter().zip([&self.vulkan, &self.others]);
        sides
            .filter_map(|(instance, devices)| Some((instance, &devices.first()?.1)))
            .flat_map(|(instance, device)| validation::messages(instance, device.adapter()))
            .collect()
    }
}

/// Whether an API writes memory that others have laid out. In it GBM's frames would be Vulkan's; and drivers only copy out
/// of host memory that they did not lay out themselves.
fn adopts(api: Api, path: MemoryPath) -> bool {
    match path {
        MemoryPath::HostMemory => api == Api::Cpu,
        _ => api != Api::Gbm,
    }
}

struct Shared {
    emulated: bool,
    copies: [u32; 2],
}

fn failed(what: &'static str) -> impl Fn(lucarne::Error) -> Outcome {
    move |error| Outcome::Failed(format!("{what}: {error}"))
}

type Ends<'a> = (Box<dyn Source + 'a>, Box<dyn Sink + 'a>);

/// A frame with both ends, or what went wrong.
fn ends<'a>(
    producer: &'a dyn Producer,
    consumer: &'a dyn Consumer,
    case: &Case,
) -> std::result::Result<Ends<'a>, Outcome> {
    let agreement = &case.agreement;
    match &case.foreign {
        None => {
            let source = producer.export(agreement).map_err(failed("export"))?;
            let sink = consumer
                .import(source.frame(), agreement)
                .map_err(failed("import"))?;
            Ok((source, sink))
        }
        Some((allocator, placement)) => {
            let frame = foreign(allocator, *placement, agreement)?;
            // A driver may refuse a layout that is not its own, in words.
            let refused = |error: lucarne::Error| Outcome::Refused(error.to_string());
            let source = producer.adopt(&frame).map_err(refused)?;
            let sink = consumer.import(&frame, agreement).map_err(refused)?;
            Ok((source, sink))
        }
    }
}

/// Shares two frames, or says what went wrong.
fn share(
    producer: &dyn Producer,
    consumer: &dyn Consumer,
    case: &Case,
    seen: &mut Option<Seen>,
) -> std::result::Result<Shared, Outcome> {
    let (source, sink) = ends(producer, consumer, case)?;
    turns(source.as_ref(), sink.as_ref(), &case.agreement, seen).map_err(Outcome::Failed)?;
    if case.foreign.is_some() {
        placement::check_untouched(source.frame()).map_err(Outcome::Failed)?;
    }
    Ok(Shared {
        emulated: source.frame().is_emulated(),
        copies: [source.copies(), sink.copies()],
    })
}

fn foreign(
    allocator: &Allocator,
    placement: Placement,
    agreement: &Agreement,
) -> std::result::Result<Frame, Outcome> {
    let frame = placement
        .frame(allocator, agreement.extent, agreement.format)
        .map_err(failed("allocation"))?;
    placement::fill(&frame).map_err(failed("canaries"))?;
    Ok(frame)
}

/// Two different frames, each gated by the fence of the one before it.
fn turns(
    source: &dyn Source,
    sink: &dyn Sink,
    agreement: &Agreement,
    seen: &mut Option<Seen>,
) -> std::result::Result<(), String> {
    let words = |what: &'static str| move |error: lucarne::Error| format!("{what}: {error}");
    let format = agreement.format;
    let info = format
        .info()
        .ok_or_else(|| format!("{format} is no known format"))?;
    let mut gate = Fence::Signaled;
    for frame in 0..2 {
        let bytes = pattern::bytes(info, agreement.extent, frame);
        let acquire = source.write(&gate, &bytes).map_err(words("write"))?;
        let (pixels, release) = sink.read(&acquire).map_err(words("read"))?;
        let seen = seen.insert(Seen { frame, pixels });
        pattern::compare(info, agreement.extent, frame, &seen.pixels)?;
        gate = release;
    }
    Ok(())
}
