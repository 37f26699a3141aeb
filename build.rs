//! Tells Cargo that the folder built into the program belongs to its sources: a file that is added to
//! it must be seen without any other change.

fn main() {
    println!("cargo:rerun-if-changed=node-images");
}
