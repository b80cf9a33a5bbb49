//! How connections are encrypted: said in the configuration, done by the port.

use schemars::JsonSchema;
use serde::Deserialize;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// `prefer` on sockets, loopback and bare service names, `verify-full` elsewhere.
    #[default]
    Auto,
    /// Never.
    Disable,
    /// When the server offers it, unverified.
    Prefer,
    /// Always, unverified.
    Require,
    /// Always; the certificate must be valid and name the host.
    VerifyFull,
}
