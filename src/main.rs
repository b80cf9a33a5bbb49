//! Hands the arguments and the environment to the library, and its exit code to the system.

use std::collections::BTreeMap;
use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "here the environment comes from")]
fn environment() -> BTreeMap<String, String> {
    // A variable that is no text is none of ours.
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

fn main() -> ExitCode {
    // One thread waits for servers; what computes gets threads of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("mlops: {error}");
            return ExitCode::from(3);
        }
    };
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    ExitCode::from(runtime.block_on(mlops_action::run(args, environment())))
}
