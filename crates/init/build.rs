//! Links the C library, which without `std` nobody asks for.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bin=creel-init=-lc");
}
