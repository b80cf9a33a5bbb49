//! git: files as they are in another commit.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git could not be started: {0}")]
    Missing(String),
    #[error("git {doing}: {why}")]
    Failed { doing: String, why: String },
    #[error(
        "this clone is shallow, so nothing tells where the branches part: fetch it whole (git fetch --unshallow; in GitHub Actions checkout with `fetch-depth: 0`)"
    )]
    Shallow,
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

    /// Where two lines of history part; `None`: they have nothing in common.
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, GitError> {
        match self.say(&["merge-base", one, other]) {
            Ok(base) => Ok(Some(base).filter(|base| !base.is_empty())),
            Err(GitError::Failed { why, .. }) if why.is_empty() => {
                if self.say(&["rev-parse", "--is-shallow-repository"])? == "true" {
                    Err(GitError::Shallow)
                } else {
                    Ok(None)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Every file of a commit, from the top of the repository.
    fn all(&self, commit: &str) -> Result<Vec<String>, GitError> {
        let names = self.say(&["ls-tree", "-r", "--full-tree", "--name-only", "-z", commit])?;
        Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// A file, relative to ours, as a commit has it; nothing where it does not.
    pub fn file(&self, commit: &str, path: &str) -> Result<Option<String>, GitError> {
        let commit = self.commit(commit)?;
        let output = self.command().args(["show", &format!("{commit}:./{path}")]).output().map_err(|e| GitError::Missing(e.to_string()))?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Whether what git keeps differs from the commit, some paths aside; nothing where there is no repository.
    pub fn is_dirty(&self, aside: &[String]) -> Option<bool> {
        let aside: Vec<String> = aside.iter().map(|path| format!(":(exclude,literal){path}")).collect();
        let mut args = vec!["status", "--porcelain", "--untracked-files=no", "--", ":/"];
        args.extend(aside.iter().map(String::as_str));
        self.say(&args).ok().map(|changes| !changes.is_empty())
    }

    /// The branch that is checked out.
    pub fn branch(&self) -> Option<String> {
        self.say(&["symbolic-ref", "--quiet", "--short", "HEAD"]).ok().filter(|name| !name.is_empty())
    }

    /// Whether git is told to leave a file alone.
    pub fn ignores(&self, path: &str) -> bool {
        self.command().args(["check-ignore", "-q", "--", path]).output().is_ok_and(|output| output.status.success())
    }

    /// Whether a file, or something in a folder, is in git.
    pub fn tracks(&self, path: &str) -> bool {
        self.say(&["ls-files", "--", path]).is_ok_and(|files| !files.is_empty())
    }

    /// The commits that changed a file, the newest first: short name, day, and its first line.
    pub fn history(&self, path: &str) -> Result<Vec<[String; 3]>, GitError> {
        let said = self.say(&["log", "--format=%h%x00%cs%x00%s", "--", path])?;
        let line = |line: &str| {
            let mut parts = line.splitn(3, '\0').map(str::to_owned);
            Some([parts.next()?, parts.next()?, parts.next()?])
        };
        Ok(said.lines().filter_map(line).collect())
    }

    /// The `.sql` files of a folder, relative to ours, in a commit: name and text. A folder that had another name then is
    /// known by the names of its files, which are `ours`.
    pub fn files(&self, commit: &str, folder: &str, ours: &[&str]) -> Result<Vec<(String, String)>, GitError> {
        let failed = |why: String| GitError::Failed { doing: format!("cat-file of {folder} in {commit}"), why };
        let prefix = self.say(&["rev-parse", "--show-prefix"])?;
        let all = self.all(commit)?;
        let split =
            |path: &str| path.rsplit_once('/').map_or_else(|| (String::new(), path.to_owned()), |(dir, name)| (dir.to_owned(), name.to_owned()));
        let wanted = format!("{prefix}{}", folder.trim_start_matches("./").trim_end_matches('/'));
        let mut shared: BTreeMap<String, usize> = BTreeMap::new();
        for (dir, _) in all.iter().map(|path| split(path)).filter(|(_, name)| ours.contains(&name.as_str())) {
            *shared.entry(dir).or_default() += 1;
        }
        let there = all.iter().any(|path| split(path).0 == wanted);
        let renamed = shared.into_iter().max_by_key(|(_, n)| *n).map(|(dir, _)| dir);
        let dir = if there { wanted } else { renamed.unwrap_or(wanted) };
        let names: Vec<String> =
            all.iter().map(|path| split(path)).filter(|(d, name)| *d == dir && name.ends_with(".sql")).map(|(_, name)| name).collect();
        if let Some(name) = names.iter().find(|name| name.contains('\n')) {
            return Err(failed(format!("{name:?}: a line feed in a file name")));
        }
        let slash = if dir.is_empty() { "" } else { "/" };
        let tree = format!("{commit}:{dir}{slash}");
        let mut child = self.command();
        child.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().map_err(|e| GitError::Missing(e.to_string()))?;
        let wanted: String = names.iter().map(|name| format!("{tree}{name}\n")).collect();
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
            files.push((name.clone(), String::from_utf8_lossy(&content).into_owned()));
        }
        let _ = (writer.join(), child.wait());
        Ok(files)
    }
}
