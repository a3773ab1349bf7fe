//! `sutazai config check`.

use std::process::ExitCode;

use sutazai_core::Result;

use super::arguments::SettingFlags;

/// Prints every setting with its value and origin, then every problem.
pub(crate) fn run(settings: &SettingFlags) -> Result<ExitCode> {
    let layers = settings.layers(&[]);
    for (name, value, origin) in layers.effective() {
        println!("{name:<28} {value}  ({origin})");
    }
    match layers.check() {
        Ok(_) => {
            println!("\nNothing is wrong with it.");
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            eprintln!();
            for problem in problems {
                eprintln!("sutazai: {problem}");
            }
            Ok(ExitCode::from(2))
        }
    }
}
