//! One process: started, hurt and ended by its id.

use super::files::Seat;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A node's seat, and the process that may sit on it.
#[derive(Debug)]
pub(super) struct Node {
    seat: Seat,
    process: Option<Child>,
    paused: bool,
    ended: Option<ExitStatus>,
}

impl Node {
    pub(super) fn new(seat: &Seat) -> Self {
        Self { seat: seat.clone(), process: None, paused: false, ended: None }
    }

    pub(super) fn start(&mut self) {
        assert!(!self.lives(), "node {} runs already", self.seat.id);
        let log = OpenOptions::new().create(true).append(true).open(&self.seat.log_file).expect("the log can be written");
        let mut command = Command::new(&self.seat.binary);
        command.arg("serve").arg("--config").arg(&self.seat.config_file).arg("--data-dir").arg(&self.seat.data_dir);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CURFEW")) {
            command.env_remove(name);
        }
        command.envs(self.seat.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a descriptor")).stdout(log);
        self.process = Some(crate::binary::start(&mut command).unwrap_or_else(|e| panic!("node {} cannot be started: {e}", self.seat.id)));
        self.paused = false;
        self.ended = None;
    }

    pub(super) fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself: then there is nothing to kill, and `wait` says how it ended.
            let _ = process.kill();
            self.ended = process.wait().ok();
        }
        self.process = None;
    }

    pub(super) fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn pause(&mut self) {
        self.signal(Signal::STOP);
        self.paused = true;
    }

    pub(super) fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.paused = false;
    }

    /// How the process ended, if it has.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        if let Some(process) = &mut self.process
            && let Some(status) = process.try_wait().expect("a child can be waited for")
        {
            self.ended = Some(status);
            self.process = None;
        }
        self.ended
    }

    /// Runs and is not paused.
    pub(super) fn runs(&mut self) -> bool {
        self.lives() && !self.paused
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap_or_else(|| panic!("node {} does not run", self.seat.id)).id()
    }

    pub(super) fn wipe(&mut self) {
        assert!(!self.lives(), "node {} runs: its disk cannot be taken away", self.seat.id);
        std::fs::remove_dir_all(&self.seat.data_dir).expect("the data directory can be removed");
    }

    fn lives(&mut self) -> bool {
        self.exited();
        self.process.is_some()
    }

    fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a process id")).expect("a process id is not zero");
        kill_process(pid, signal).unwrap_or_else(|e| panic!("node {} cannot be signalled: {e}", self.seat.id));
    }
}
