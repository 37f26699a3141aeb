//! Tells Cargo that the folder built into the program belongs to its sources: a file that is added to
//! it must be seen without any other change.
#![expect(clippy::print_stdout, reason = "standard output is how a build script speaks to Cargo")]

fn main() {
    println!("cargo:rerun-if-changed=node-images");
}
