//! The system calls that judged Python may not make.
//!
//! A program is one process of a few threads: a second one, or memory that the kernel holds for it outside its address
//! space, would slip through limits that Linux counts by process. What else is refused is what no function of plain
//! Python needs and an attack on the kernel begins with.

#[cfg(target_os = "linux")]
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls that are refused whatever their arguments.
#[cfg(target_os = "linux")]
const REFUSED: &[libc::c_long] = &[
    // Other programs and other processes. Without `clone3`, the C library falls back to `clone`, whose flags can be seen.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone3,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_kcmp,
    // Memory outside the address space.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_vmsplice,
    // Places and walls.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_socket,
    // Large parts of the kernel.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// The second set of numbers, of the x32 interface, that some kernels of x86-64 answer to.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const INTERFACES: &[libc::c_long] = &[0, 0x4000_0000];
#[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
const INTERFACES: &[libc::c_long] = &[0];

/// The filter's instructions, 8 bytes each as the kernel reads them, in hexadecimal digits.
///
/// Refused calls fail with `ENOSYS`, as on a kernel that does not have them.
///
/// # Errors
/// A reason, on an architecture or a system that has no such filter.
#[cfg(target_os = "linux")]
pub(super) fn instructions() -> Result<String, String> {
    let failed = |error: seccompiler::BackendError| format!("no filter of system calls: {error}");
    let is_process =
        SeccompCmpOp::MaskedEq(u64::try_from(libc::CLONE_THREAD).map_err(|error| format!("CLONE_THREAD: {error}"))?);
    let is_process = SeccompCondition::new(0, SeccompCmpArgLen::Qword, is_process, 0).map_err(failed)?;
    let is_process = SeccompRule::new(vec![is_process]).map_err(failed)?;
    let mut rules = std::collections::BTreeMap::new();
    for interface in INTERFACES {
        rules.extend(REFUSED.iter().map(|call| (call | interface, Vec::new())));
        rules.insert(libc::SYS_clone | interface, vec![is_process.clone()]);
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(failed)?;
    let refusal = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).map_err(failed)?;
    let program: BpfProgram = filter.try_into().map_err(failed)?;
    let mut digits = String::with_capacity(16 * program.len());
    for instruction in program {
        let [code, k] = [u64::from(instruction.code), u64::from(instruction.k)];
        let [jt, jf] = [instruction.jt, instruction.jf].map(u64::from);
        // The fields in the order and the byte order in which they lie in memory.
        let bytes = if cfg!(target_endian = "little") {
            (code | jt << 16 | jf << 24 | k << 32).to_le_bytes()
        } else {
            (code << 48 | jt << 40 | jf << 32 | k).to_be_bytes()
        };
        bytes.iter().for_each(|byte| digits.push_str(&format!("{byte:02x}")));
    }
    Ok(digits)
}

/// Other systems have no such filter.
#[cfg(not(target_os = "linux"))]
pub(super) fn instructions() -> Result<String, String> {
    Err("no filter of system calls on this system".to_owned())
}
