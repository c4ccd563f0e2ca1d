//! The program `creel-init`: see the library.
//
// Without std wherever panics abort, which is every release build. A profile that unwinds needs
// the personality function that only std has; the same entry point runs there.
#![cfg_attr(panic = "abort", no_std)]
#![no_main]

creel_init::pid1_main!(creel_init::main);

/// Nothing in the program panics on purpose; were it to, it ends as after any other failure.
#[cfg(panic = "abort")]
#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    creel_init::pid1::report(c"creel-init: internal error\n");
    creel_init::pid1::abort()
}
