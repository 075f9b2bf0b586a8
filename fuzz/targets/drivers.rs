//! All drivers in one binary, because linking Laurel takes longer than the rest. `LAUREL_FUZZ` names the driver to run.

#![no_main]

#[path = "../drivers/mod.rs"]
mod drivers;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static DRIVER: LazyLock<drivers::Driver> = LazyLock::new(|| {
    let name = std::env::var("LAUREL_FUZZ").unwrap_or_default();
    let driver = drivers::ALL.iter().find(|driver| driver.0 == name);
    let names: Vec<_> = drivers::ALL.iter().map(|driver| driver.0).collect();
    driver.unwrap_or_else(|| panic!("set LAUREL_FUZZ to one of {}", names.join(", "))).1
});

fuzz_target!(|data: &[u8]| DRIVER(data));
