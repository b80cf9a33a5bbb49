//! The registry in the tool's own tables: which model versions exist, what exactly each of them is, who may ship it, and
//! what stands where. Its history is append-only, each event chained to the one before; MLflow follows it.
//!
//! ```text
//!  register ─► promote ─► (approve, quarantine, deprecate) ─► rollback
//!     │           │                    │                         │
//!     └───────────┴──── one event each, chained, in the same transaction ────► outbox ─► MLflow
//! ```

mod adopt;
mod artifact;
mod compare;
mod fit;
mod follow;
mod marks;
mod model;
mod policy;
mod promote;
mod provenance;
mod read;
mod refusal;
mod register;
mod rollback;
mod search;
mod session;
mod settings;
mod signature;
mod trace;
mod verify;
mod version;

pub use self::adopt::adopt;
pub use self::artifact::{Home, Homes, Kept, Local, local, look};
pub use self::compare::{compared, differing, number};
pub use self::fit::columns_gone;
pub use self::follow::{Delivery, Follower, check, deliver, enqueue, waiting};
pub use self::marks::{Mark, mark, release, say};
pub use self::model::{Framework, Model};
pub use self::policy::{Expected, Request};
pub use self::promote::promote;
pub use self::provenance::{signed, statement};
pub use self::read::{Event, Known as KnownModel, Standing, current, events, has_event, list, models, readers, search};
pub use self::refusal::{Reason, Refusal, Refusals};
pub use self::register::{NewVersion, Registered, register};
pub use self::rollback::{Target, rollback};
pub use self::search::Condition;
pub use self::session::{Actor, Registry, RegistryError};
pub use self::settings::{Gates, Policy, Promote, Settings};
pub use self::signature::signature;
pub use self::trace::Story;
pub use self::verify::verify;
pub use self::version::{Data, Version, Which};
