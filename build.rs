//! Links the binary at a fixed address.
//!
//! A position-independent executable of this size rewrites megabytes of pointers at its start, which
//! stay in memory for the life of the process; linked at a fixed address they are read from the file
//! when they are needed.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
