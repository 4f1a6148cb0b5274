//! Why a link with another node comes to nothing. PipeWire tells that to whoever made the link, in the words "no more input formats".

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::{Agreement, MemoryPath, Offer, Refusal, Request, negotiate};
use pipewire::context::ContextRc;
use pipewire::loop_::Timeout;
use pipewire::main_loop::MainLoopRc;
use pipewire::port::Port;
use pipewire::properties::PropertiesBox;
use pipewire::registry::GlobalObject;
use pipewire::spa::param::ParamType;
use pipewire::spa::utils::Direction;
use pipewire::types::ObjectType;

use crate::error::{Error, Result};
use crate::node::remote_properties;
use crate::pods::VideoInfo;

/// What two nodes would agree on, as far as their lists tell, or why nothing.
#[derive(Debug)]
pub struct Explanation {
    /// What this node lists.
    pub ours: Offer,
    /// What the other one lists: `importable` and `exportable` say nothing there.
    pub theirs: Offer,
    /// The agreement, or every reason.
    pub outcome: std::result::Result<Agreement, Box<Refusal>>,
}

impl Explanation {
    /// `request` has this node's formats; the extent is the other one's where that has one size.
    pub(crate) fn of(ours: Offer, theirs: Offer, request: &Request, direction: Direction) -> Self {
        let outcome = if direction == Direction::Output {
            negotiate(&ours, &theirs, request)
        } else {
            negotiate(&theirs, &ours, request)
        };
        Self {
            ours,
            theirs,
            outcome,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for offer in [&self.ours, &self.theirs] {
            let mut listed: Vec<String> = Vec::new();
            for entry in &offer.entries {
                let name = entry.format.info().map_or("?", |info| info.name);
                let one = match entry.path {
                    MemoryPath::DmaBuf => format!("{name} {} in dma-bufs", entry.tiling),
                    path => format!("{name} in {path}"),
                };
                if !listed.contains(&one) {
                    listed.push(one);
                }
            }
            write!(f, "{} lists {}; ", offer.name, listed.join(", "))?;
        }
        match &self.outcome {
            Ok(agreement) => write!(f, "agreed: {} over {}", agreement.format, agreement.rung),
            Err(refusal) => refusal.fmt(f),
        }
    }
}

/// What the registry has told.
#[derive(Default)]
struct Seen {
    /// The number of the node of that name.
    node: Option<u32>,
    ports: Vec<(u32, GlobalObject<PropertiesBox>)>,
    infos: Vec<VideoInfo>,
    /// Round trips that are over.
    done: u32,
    failed: Option<String>,
}

/// The video formats that the first port of `node` in this direction lists, asked of the daemon. `None` where there is no such node
/// or port, or none of video.
///
/// # Errors
///
/// [`Error::Library`] where no daemon answers in time.
pub(crate) fn listed_by(
    node: &str,
    direction: Direction,
    remote: Option<&str>,
    timeout: Duration,
) -> Result<Option<Vec<VideoInfo>>> {
    pipewire::init();
    let failed = |what| move |error: pipewire::Error| Error::library(what, error);
    let main_loop = MainLoopRc::new(None).map_err(failed("pw_main_loop_new"))?;
    let context = ContextRc::new(&main_loop, None).map_err(failed("pw_context_new"))?;
    let core = context
        .connect_rc(remote.map(remote_properties))
        .map_err(failed("connecting to PipeWire"))?;
    let registry = core
        .get_registry_rc()
        .map_err(failed("pw_core_get_registry"))?;
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let (globals, rounds, errors) = (Rc::clone(&seen), Rc::clone(&seen), Rc::clone(&seen));
    let name = node.to_owned();
    let _globals = registry
        .add_listener_local()
        .global(move |global| globals.borrow_mut().note(global, &name, direction))
        .register();
    let _core = core
        .add_listener_local()
        .done(move |_, _| rounds.borrow_mut().done += 1)
        .error(move |_, _, _, text| errors.borrow_mut().failed = Some(text.to_owned()))
        .register();
    let end = Instant::now() + timeout;
    let round = |number: u32| -> Result<()> {
        core.sync(0).map_err(failed("pw_core_sync"))?;
        while seen.borrow().done < number {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(text) = seen.borrow_mut().failed.take() {
                return Err(Error::library("asking PipeWire for a node's formats", text));
            }
            if left.is_zero() {
                let text = format!("no answer within {} ms", timeout.as_millis());
                return Err(Error::library("asking PipeWire for a node's formats", text));
            }
            main_loop.loop_().iterate(Timeout::Finite(left));
        }
        Ok(())
    };
    round(1)?;
    let Some(port) = seen.borrow_mut().port() else {
        return Ok(None);
    };
    let port: Port = registry.bind(&port).map_err(failed("pw_registry_bind"))?;
    let formats = Rc::clone(&seen);
    let _params = port
        .add_listener_local()
        .param(move |_, _, _, _, pod| {
            let info = pod.and_then(VideoInfo::read);
            formats.borrow_mut().infos.extend(info);
        })
        .register();
    port.enum_params(0, Some(ParamType::EnumFormat), 0, u32::MAX);
    round(2)?;
    let infos = std::mem::take(&mut seen.borrow_mut().infos);
    Ok((!infos.is_empty()).then_some(infos))
}

impl Seen {
    fn note(
        &mut self,
        global: &GlobalObject<&pipewire::spa::utils::dict::DictRef>,
        name: &str,
        direction: Direction,
    ) {
        let get = |key: &str| global.props.and_then(|props| props.get(key));
        match global.type_ {
            ObjectType::Node
                if get("node.name") == Some(name) || get("object.serial") == Some(name) =>
            {
                self.node = Some(global.id);
            }
            ObjectType::Port => {
                let of = if direction == Direction::Output {
                    "out"
                } else {
                    "in"
                };
                let owner = get("node.id").and_then(|id| id.parse().ok());
                if let Some(owner) = owner.filter(|_| get("port.direction") == Some(of)) {
                    self.ports.push((owner, global.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn port(&mut self) -> Option<GlobalObject<PropertiesBox>> {
        let node = self.node?;
        let at = self.ports.iter().position(|(owner, _)| *owner == node)?;
        Some(self.ports.swap_remove(at).1)
    }
}
