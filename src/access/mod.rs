//! Who may do what: keys, their scopes and limits, and what each route needs.

mod guard;
mod key_file;
mod keys;
mod limits;
mod need;
mod options;
mod refusal;
mod requester;
mod scope;
mod secret;
mod watch;

pub use guard::{Credentials, Door, Guard, Origin};
pub use key_file::{KeyFileError, is_name};
pub use limits::{Limited, Permit};
pub use need::Need;
pub use options::AccessOptions;
pub use refusal::Refusal;
pub use requester::Requester;
pub use scope::{Scope, Scopes, UnknownScope};
pub use secret::{Digest, NewKey};
pub use watch::{KeyFile, guard};
