//! From finished trees, in whatever order they come, to shards in the order of the problems.
//!
//! Shard s holds the trees of problems `s * shard_trees ..`, so that its bytes do not depend on which tree finished
//! first. Until it is whole its trees lie in a journal of its own on disk: after a kill no finished tree is searched
//! again, and memory holds none of them however many shards wait for a slow tree.

use anyhow::{Context, Result, bail};
use espalier_files::{Journal as Records, remove_file};
use espalier_tree::{Journal, ShardInfo, Tree, write_shard};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Collects trees by problem index and publishes each shard as soon as it is whole.
pub struct Shards {
    folder: PathBuf,
    info: ShardInfo,
    shard_trees: u64,
    problems: u64,
    /// Shards that are begun and not published.
    begun: BTreeMap<u64, Begun>,
    published: BTreeSet<u64>,
    /// Problems without a tree, with the reason, in the order in which they were given up.
    skips: Vec<(u64, String)>,
    skip_journal: Records,
}

/// First bytes of the journal of skipped problems.
const SKIPS: [u8; 8] = *b"ESPSKIP1";

/// A shard that is not whole.
struct Begun {
    journal: Journal,
    /// Problems whose trees are in the journal.
    finished: BTreeSet<u64>,
    /// Problems that have no tree, with the reason.
    skipped: BTreeMap<u64, String>,
}

impl Shards {
    /// Continues in `folder`, with what an earlier, killed process left there.
    ///
    /// `folder/resume` must belong to the same configuration and the same `problems` (the caller checks).
    pub fn open(folder: &Path, info: ShardInfo, shard_trees: usize, problems: usize) -> Result<Shards> {
        let resume = resume_folder(folder);
        fs::create_dir_all(&resume).with_context(|| format!("cannot create {}", resume.display()))?;
        let mut skips = Vec::new();
        let skip_journal = Records::open(&resume.join("skipped.bin"), SKIPS, |record| {
            skips.push(serde_json::from_slice(record).context("the journal of skipped problems is damaged")?);
            anyhow::Ok(())
        })?;
        let mut shards = Shards {
            skips,
            skip_journal,
            folder: folder.to_owned(),
            info,
            shard_trees: shard_trees as u64,
            problems: problems as u64,
            begun: BTreeMap::new(),
            published: BTreeSet::new(),
        };
        for shard in 0..shards.problems.div_ceil(shards.shard_trees) {
            let journal = shards.journal_path(shard);
            if shards.path(shard).exists() {
                shards.published.insert(shard);
                // The last kill may have come between the shard and the end of its journal.
                remove_file(&journal)?;
            } else if journal.exists() {
                let begun = shards.read_journal(shard)?;
                shards.begun.insert(shard, begun);
                // Or between the shard's last tree and the shard.
                shards.publish_if_whole(shard)?;
            }
        }
        // A problem whose shard is not whole is tried again.
        let (published, shard_trees) = (&shards.published, shards.shard_trees);
        shards.skips.retain(|(index, _)| published.contains(&(index / shard_trees)));
        Ok(shards)
    }

    /// Whether the tree of this problem is finished already.
    pub fn has(&self, index: u64) -> bool {
        let shard = index / self.shard_trees;
        self.published.contains(&shard) || self.begun.get(&shard).is_some_and(|begun| begun.finished.contains(&index))
    }

    /// Number of problems whose trees are finished.
    pub fn finished(&self) -> u64 {
        (0..self.problems).filter(|&index| self.has(index)).count() as u64
    }

    /// Takes a finished tree.
    pub fn add(&mut self, index: u64, tree: &Tree) -> Result<()> {
        let shard = index / self.shard_trees;
        let begun = self.begun(shard)?;
        begun.journal.append(index, tree).context("cannot write the journal of finished trees")?;
        begun.finished.insert(index);
        self.publish_if_whole(shard)
    }

    /// Problems without a tree, with the reason, those of earlier processes first.
    pub fn skips(&self) -> &[(u64, String)] {
        &self.skips
    }

    /// Notes that a problem has no tree, so that its shard does not wait for it.
    pub fn skip(&mut self, index: u64, reason: &str) -> Result<()> {
        let shard = index / self.shard_trees;
        self.skips.push((index, reason.to_owned()));
        self.begun(shard)?.skipped.insert(index, reason.to_owned());
        self.publish_if_whole(shard)
    }

    /// Makes sure that every shard is published.
    pub fn close(self) -> Result<()> {
        let waiting: usize = self.begun.values().map(|begun| begun.finished.len()).sum();
        if waiting > 0 {
            bail!("{waiting} finished trees belong to no whole shard");
        }
        Ok(())
    }

    fn path(&self, shard: u64) -> PathBuf {
        self.folder.join(format!("part-{shard:05}.parquet"))
    }

    fn journal_path(&self, shard: u64) -> PathBuf {
        resume_folder(&self.folder).join(format!("journal-{shard:05}.bin"))
    }

    fn indices(&self, shard: u64) -> std::ops::Range<u64> {
        shard * self.shard_trees..((shard + 1) * self.shard_trees).min(self.problems)
    }

    fn begun(&mut self, shard: u64) -> Result<&mut Begun> {
        if !self.begun.contains_key(&shard) {
            let begun = self.read_journal(shard)?;
            self.begun.insert(shard, begun);
        }
        self.begun.get_mut(&shard).context("a shard that was just begun")
    }

    /// Opens the journal of a shard, and looks which trees are in it.
    fn read_journal(&self, shard: u64) -> Result<Begun> {
        let path = self.journal_path(shard);
        let (journal, found) = Journal::open(&path).with_context(|| format!("cannot use {}", path.display()))?;
        let finished: BTreeSet<u64> = found.into_iter().map(|(index, _)| index).collect();
        if let Some(index) = finished.iter().find(|index| !self.indices(shard).contains(index)) {
            bail!(
                "{} holds problem {index}, which is not in its shard; remove {}",
                path.display(),
                self.folder.display()
            );
        }
        Ok(Begun { journal, finished, skipped: BTreeMap::new() })
    }

    fn publish_if_whole(&mut self, shard: u64) -> Result<()> {
        let Some(begun) = self.begun.get(&shard) else { return Ok(()) };
        let is_there = |index| begun.finished.contains(&index) || begun.skipped.contains_key(&index);
        if !self.indices(shard).all(is_there) {
            return Ok(());
        }
        let Some(begun) = self.begun.remove(&shard) else { return Ok(()) };
        let journal = self.journal_path(shard);
        let (_, mut found) = Journal::open(&journal).with_context(|| format!("cannot read {}", journal.display()))?;
        found.sort_by_key(|(index, _)| *index);
        // What is published must be what was finished: another process in the same journal would have cut it.
        if !found.iter().map(|(index, _)| index).eq(&begun.finished) {
            bail!("{} has lost trees that were in it; remove {}", journal.display(), self.folder.display());
        }
        // Not before: a process that goes on with a shard tries its skipped problems again.
        for skip in &begun.skipped {
            let record = serde_json::to_vec(&skip).context("cannot encode a skipped problem")?;
            self.skip_journal.append(|to| to.extend(&record))?;
        }
        let trees: Vec<Tree> = found.into_iter().map(|(_, tree)| tree).collect();
        let path = self.path(shard);
        write_shard(&path, &trees, &self.info).with_context(|| format!("cannot write {}", path.display()))?;
        self.published.insert(shard);
        Ok(remove_file(&journal)?)
    }
}

/// Whether a file is a shard of trees, or a part of pairs, by its name.
pub fn is_part(name: &str) -> bool {
    name.starts_with("part-") && name.ends_with(".parquet")
}

/// Where the state of an unfinished search lies.
pub fn resume_folder(folder: &Path) -> PathBuf {
    folder.join("resume")
}
