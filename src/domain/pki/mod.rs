//! The mesh's certificates: one root for a fleet, one intermediate for each cluster, and the rules that
//! istiod holds them to. Pure but for the randomness that keys are made of; the time is passed in.

mod bundle;
mod check;
mod error;
mod key;
mod pem;
mod root;
mod secret;
mod serving;
mod summary;

pub use bundle::{CA_CERT, CA_KEY, CERT_CHAIN, CaBundle, ROOT_CERT, Verdict};
pub use error::PkiError;
pub use root::{BACKDATED, Root, VALIDITY};
pub use secret::SecretText;
pub use serving::serving;
pub use summary::{CertificateSummary, ChainSummary};

#[cfg(test)]
mod tests;
