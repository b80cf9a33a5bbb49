//! git: files as they are in another commit.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git could not be started: {0}")]
    Missing(String),
    #[error("git {doing}: {why}")]
    Failed { doing: String, why: String },
    #[error("there is no commit `{0}` here; fetch it first (git fetch origin {short}; in GitHub Actions checkout with `fetch-depth: 0`)", short = .0.trim_start_matches("origin/"))]
    NoCommit(String),
}

/// A repository that may belong to another user, as in a container.
#[derive(Debug)]
pub struct Git {
    folder: PathBuf,
}

impl Git {
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.folder);
        // For this command alone: nobody's settings are written.
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        command
    }

    fn say(&self, args: &[&str]) -> Result<String, GitError> {
        let output = self.command().args(args).output().map_err(|e| GitError::Missing(e.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(GitError::Failed { doing: args.join(" "), why })
    }

    /// The commit that a name stands for.
    pub fn commit(&self, name: &str) -> Result<String, GitError> {
        let wanted = format!("{name}^{{commit}}");
        self.say(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).map_err(|error| match error {
            GitError::Failed { why, .. } if why.is_empty() => GitError::NoCommit(name.into()),
            other => other,
        })
    }

    /// Where two lines of history part; `None`: they have nothing in common here, as in a shallow clone.
    pub fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        self.say(&["merge-base", one, other]).ok().filter(|base| !base.is_empty())
    }

    /// The files of a folder, relative to ours, in a commit: name and text.
    pub fn files(&self, commit: &str, folder: &str) -> Result<Vec<(String, String)>, GitError> {
        let failed = |why: String| GitError::Failed { doing: format!("cat-file of {folder} in {commit}"), why };
        let tree = format!("{commit}:./{folder}");
        // A folder that is not there yet has no files.
        let Ok(names) = self.say(&["ls-tree", "--full-tree", "--name-only", "-z", &tree]) else { return Ok(vec![]) };
        let names: Vec<&str> = names.split('\0').filter(|name| name.ends_with(".sql")).collect();
        let mut child = self.command();
        child.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().map_err(|e| GitError::Missing(e.to_string()))?;
        let wanted: String = names.iter().map(|name| format!("{tree}/{name}\n")).collect();
        let mut stdin = child.stdin.take().ok_or_else(|| failed("it takes no names".into()))?;
        // Written beside the reading: both pipes have an end.
        let writer = std::thread::spawn(move || stdin.write_all(wanted.as_bytes()));
        let mut answers = BufReader::new(child.stdout.take().ok_or_else(|| failed("it gives no answer".into()))?);
        let mut files = Vec::new();
        for name in &names {
            let mut head = String::new();
            answers.read_line(&mut head).map_err(|e| failed(e.to_string()))?;
            let size = head.split_whitespace().nth(2).and_then(|n| n.parse::<usize>().ok()).ok_or_else(|| failed(head.trim().to_owned()))?;
            // A line feed follows the content.
            let mut content = vec![0; size + 1];
            answers.read_exact(&mut content).map_err(|e| failed(e.to_string()))?;
            content.pop();
            files.push(((*name).to_owned(), String::from_utf8_lossy(&content).into_owned()));
        }
        let _ = (writer.join(), child.wait());
        Ok(files)
    }
}
