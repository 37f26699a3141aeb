//! Node images: which one a Kubernetes version means, and how a reference reads.

// Filled by the domain work: reference parsing and the table of default images.
