//! One producer and two consumers, each in a process of its own, and the pictures that they saw.

use super::{Report, Result, TICK, say};
use crate::options::{PathChoice, extent};
use crate::picture::Picture;
use clap::{Parser, ValueEnum};
use lucarne::Extent;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Publishes a stream from one process and watches it from two others, in OpenGL and with the CPU; then compares what all three
/// saw, byte for byte.
#[derive(Debug, Clone, Parser)]
#[command(name = "two-processes", version)]
pub struct Options {
    /// Width and height of the frames in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "640x360", value_parser = extent)]
    pub size: Extent,
    /// How many frames
    #[arg(long, value_name = "COUNT", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: u64,
    /// Change between the size and half of it after so many frames
    #[arg(long, value_name = "COUNT")]
    pub resize_every: Option<u64>,
    /// How the pixels get to the consumers
    #[arg(long, value_enum, default_value = "auto")]
    pub path: PathChoice,
    /// The folder for the pictures
    #[arg(long, value_name = "FOLDER", default_value = "target/two-processes")]
    pub output: PathBuf,
    /// Print the reports as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Folders of the pictures, and the programs that make them; the producer is the first.
const ENDS: [(&str, &str); 3] = [
    ("producer", "producer"),
    ("gl", "consumer"),
    ("cpu", "cpu-reader"),
];

/// A program that is stopped when it is dropped, whatever went wrong.
struct Running(Option<Child>);

impl Running {
    /// Whether it has ended; an error if it failed.
    fn has_ended(&mut self, program: &str) -> Result<bool> {
        let child = self.0.as_mut().ok_or("it has ended already")?;
        match child.try_wait()? {
            Some(status) if !status.success() => Err(format!("{program} failed: {status}").into()),
            status => Ok(status.is_some()),
        }
    }

    fn report(mut self, program: &str) -> Result<Report> {
        let child = self.0.take().ok_or("it has ended already")?;
        let ended = child.wait_with_output()?;
        if !ended.status.success() {
            return Err(format!("{program} failed: {}", ended.status).into());
        }
        Ok(serde_json::from_slice(&ended.stdout)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Options {
    /// The numbers of the frames that become pictures: the first, two on the way, the last.
    #[must_use]
    pub fn pictures(&self) -> Vec<u64> {
        let mut numbers = vec![
            1,
            (self.frames / 3).max(1),
            (self.frames * 2 / 3).max(1),
            self.frames,
        ];
        numbers.dedup();
        numbers
    }

    fn start(&self, folder: &str, program: &str) -> Result<Running> {
        // The programs lie beside this one; they inherit the preload that cargo's runner gave it.
        let mut command = Command::new(std::env::current_exe()?.with_file_name(program));
        let numbers: Vec<String> = self.pictures().iter().map(u64::to_string).collect();
        command
            .arg("--json")
            .args(["--name", "two-processes", "--pictures", &numbers.join(",")])
            .arg("--directory")
            .arg(self.output.join("socket"))
            .arg("--output")
            .arg(self.output.join(folder))
            .stdout(Stdio::piped());
        if program == "producer" {
            let path = self.path.to_possible_value().ok_or("no such path")?;
            command
                .args(["--size", &self.size.to_string(), "--wait-for", "2"])
                .args(["--frames", &self.frames.to_string(), "--fps", "60"])
                // Saving pictures takes its time, and nobody may be cut off for it.
                .args(["--patience", "30000", "--path", path.get_name()]);
            if let Some(every) = self.resize_every {
                command.args(["--resize-every", &every.to_string()]);
            }
        } else {
            command.arg("--every");
        }
        let child = command.spawn();
        let child = child.map_err(|error| format!("cannot run {program}: {error}"))?;
        Ok(Running(Some(child)))
    }
}

/// Runs all three, and compares what they saw.
///
/// # Errors
///
/// If one of them fails, or saw anything else than the producer drew.
pub fn run(options: &Options) -> Result<Vec<Report>> {
    std::fs::create_dir_all(&options.output)?;
    for (folder, _) in ENDS {
        for number in options.pictures() {
            // Of an earlier run; what is missing afterwards was not seen.
            let _ = std::fs::remove_file(super::album::file(&options.output.join(folder), number));
        }
    }
    let mut running: Vec<(&str, Running)> = ENDS
        .iter()
        .map(|(folder, program)| Ok((*program, options.start(folder, program)?)))
        .collect::<Result<_>>()?;
    // Without one of them the others would wait for ever.
    loop {
        let ended = running.iter_mut().map(|(name, one)| one.has_ended(name));
        let ended: Vec<bool> = ended.collect::<Result<_>>()?;
        if ended.into_iter().all(|one| one) {
            break;
        }
        std::thread::sleep(TICK);
    }
    let reports: Vec<Report> = running
        .into_iter()
        .map(|(program, running)| running.report(program))
        .collect::<Result<_>>()?;
    for number in options.pictures() {
        let folders = ENDS.map(|(folder, _)| options.output.join(folder));
        compare(number, &folders)?;
    }
    Ok(reports)
}

/// Checks that a frame looks the same in every folder, to the last byte.
///
/// # Errors
///
/// If it does not, with how many pixels differ and by how much.
pub fn compare(number: u64, folders: &[PathBuf]) -> Result<()> {
    let Some((first, others)) = folders.split_first() else {
        return Ok(());
    };
    let load = |folder: &Path| {
        let path = super::album::file(folder, number);
        let loaded = std::fs::read(&path).and_then(|bytes| Ok((bytes, Picture::load(&path)?)));
        loaded.map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let (bytes, picture) = load(first)?;
    for folder in others {
        let (other_bytes, other) = load(folder)?;
        let folder = folder.display();
        match picture.difference(&other) {
            Some((0, 0)) if bytes == other_bytes => {}
            Some((most, pixels)) => {
                return Err(format!(
                    "frame {number} differs in {folder}: {pixels} pixels, by {most} of 255 at most"
                )
                .into());
            }
            None => return Err(format!("frame {number} has another size in {folder}").into()),
        }
    }
    Ok(())
}

/// Prints what happened.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn print(options: &Options, reports: &[Report]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(reports)?)?;
        return Ok(());
    }
    for report in reports {
        writeln!(out, "{:18} {}", report.program, report.device)?;
        let (rung, format) = (&report.rung, &report.format);
        let (frames, copies) = (report.frames, report.copies_per_frame);
        writeln!(
            out,
            "{:18} {frames} frames of {format} by {rung}, {copies} copies of each",
            ""
        )?;
    }
    let numbers: Vec<String> = options.pictures().iter().map(u64::to_string).collect();
    let output = options.output.display();
    writeln!(
        out,
        "all three agree, byte for byte, on frames {} (in {output})",
        numbers.join(", ")
    )?;
    // The emulation answers `open`, never `stat`.
    let real = Path::new("/dev/udmabuf").exists();
    if !real && reports.iter().any(|report| report.rung.contains("dma-buf")) {
        say("the dma-bufs are emulated: this machine has no /dev/udmabuf");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_in_one_pixel_is_a_difference() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["a", "b", "c"].map(|name| folder.path().join(name));
        let pixels = vec![7; 4 * 6];
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
            let picture = Picture::from_bottom_up(3, 2, pixels.clone());
            picture.save(&super::super::album::file(folder, 1)).unwrap();
        }
        compare(1, &folders).expect("the same three times");
        let mut other = pixels.clone();
        other[5] ^= 1;
        let picture = Picture::from_bottom_up(3, 2, other);
        picture
            .save(&super::super::album::file(&folders[2], 1))
            .unwrap();
        let error = compare(1, &folders).expect_err("one differs").to_string();
        assert!(error.contains("1 pixels, by 1 of 255"), "{error}");
        let error = compare(2, &folders).expect_err("there is none").to_string();
        assert!(error.contains("cannot read"), "{error}");
    }
}
