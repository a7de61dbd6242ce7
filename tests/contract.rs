//! Every stage with an output of its own keeps one contract: fresh, half done, done, foreign.

use crate::stages::{files, names, stages};
use crate::tiny::text;
use std::fs;

#[test]
fn every_stage_is_fresh_half_done_done_or_foreign() {
    for stage in stages() {
        let root = tempfile::tempdir().unwrap();
        // A stranger's file is no output of a stage.
        let strange = root.path().join("strange");
        fs::create_dir(&strange).unwrap();
        let thesis = match stage.out {
            "eval.json" => stage.out(&strange),
            // The command makes `trees` and `pairs` in its folder.
            "trees" => stage.out(&strange).join("trees/thesis.txt"),
            _ => stage.out(&strange).join("thesis.txt"),
        };
        fs::create_dir_all(thesis.parent().unwrap()).unwrap();
        fs::write(&thesis, "all my work").unwrap();
        for more in [&[][..], &["--overwrite"]] {
            stage.is_refused(&strange, more, "choose another --out");
        }
        assert_eq!(names(&files(&strange, false)), [thesis.strip_prefix(&strange).unwrap()], "{}", stage.out);

        let whole = root.path().join("whole");
        stage.succeeds(&whole, &[]);
        let made = files(&whole, false);
        let again = stage.succeeds(&whole, &[]);
        assert!(text(&again.stderr).contains("is done already, since 2"), "{}: {}", stage.out, text(&again.stderr));
        assert_eq!(files(&whole, false), made, "{}", stage.out);

        let (flags, difference) = stage.other;
        stage.is_refused(&whole, flags, difference);
        assert_eq!(files(&whole, false), made, "{}", stage.out);

        // Killed ever later after each start.
        let killed = root.path().join("killed");
        let mut kills = 0;
        for point in [1, 3, 6, 10, 15, 21] {
            if stage.run(&killed, &[], Some(point)).status.success() {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 3, "{}: only {kills} kills", stage.out);
        stage.succeeds(&killed, &[]);
        assert_eq!(names(&files(&killed, false)), names(&made), "{}: leftovers", stage.out);
        assert!(files(&killed, true) == files(&whole, true), "{} differs after {kills} kills", stage.out);

        // Begun anew, by request, over the stage's own files and no others.
        let thesis = whole.join("thesis.txt");
        fs::write(&thesis, "all my work").unwrap();
        stage.succeeds(&whole, &[flags, &["--overwrite"]].concat());
        let anew = root.path().join("anew");
        stage.succeeds(&anew, flags);
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "all my work");
        fs::remove_file(&thesis).unwrap();
        assert_eq!(names(&files(&whole, false)), names(&files(&anew, false)), "{}", stage.out);
        assert!(files(&whole, true) == files(&anew, true), "{} differs when begun anew", stage.out);
    }
}

#[test]
fn two_processes_never_write_one_output() {
    // This process holds the lock that a search would hold.
    for stage in stages() {
        let root = tempfile::tempdir().unwrap();
        let out = match stage.out {
            "trees" => stage.out(root.path()).join("trees"),
            _ => stage.out(root.path()),
        };
        let lock = espalier_files::Lock::acquire(&out).unwrap();
        stage.is_refused(root.path(), &[], &format!("is being written by process {}", std::process::id()));
        drop(lock);
        assert!(files(root.path(), false).is_empty(), "{}: the refused process left something", stage.out);
    }
}
