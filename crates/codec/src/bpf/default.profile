# The default seccomp profile: in the main what Docker's default allows. It is stricter where Podman
# leaves calls to the kernel's own checks (mount, unshare, setns, keyctl, pivot_root), and looser where
# Podman refuses harmless ones (membarrier, io_pgetevents, vmsplice). io_uring and userfaultfd are refused.
# Each line: ACTION [cap=A] [!cap=A] [arch=A,B] NAME... [: argN [& MASK] OP VALUE, ...]
default errno=1
unknown errno=38
bad-arch kill-process

group memory: acts on the caller's own address space
allow brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
allow mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect
allow remap_file_pages map_shadow_stack

group signals and processes: acts on processes the pid namespace shows
allow execve execveat exit exit_group fork getcpu getpgid getpgrp getpid getppid get_robust_list
allow getsid get_thread_area gettid kill landlock_add_rule landlock_create_ruleset
allow landlock_restrict_self pause pidfd_open pidfd_send_signal prctl process_mrelease
allow restart_syscall rseq rseq_slice_yield rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
allow rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
allow sched_getaffinity sched_getattr sched_getparam sched_get_priority_max
allow sched_get_priority_min sched_getscheduler sched_rr_get_interval
allow sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
allow sched_setscheduler sched_yield seccomp set_robust_list setsid set_thread_area
allow set_tid_address sigaltstack signalfd signalfd4 sigprocmask sigreturn sysinfo tgkill tkill
allow uname vfork wait4 waitid waitpid

group ids and limits: the kernel checks capabilities; the user namespace bounds them
allow capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
allow getpriority getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getuid
allow getuid32 ioprio_get ioprio_set prlimit64 setfsgid setfsgid32 setfsuid setfsuid32 setgid
allow setgid32 setgroups setgroups32 setpriority setregid setregid32 setresgid setresgid32
allow setresuid setresuid32 setreuid setreuid32 setrlimit setuid setuid32 ugetrlimit umask

group sockets: bounded by the network namespace
allow accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom
allow recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown
allow socketcall socketpair

group time: reading and waiting; setting needs CAP_SYS_TIME
allow adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64
allow clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer
allow gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun
allow timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
allow timerfd_gettime64 timerfd_settime timerfd_settime64 times

group ipc: bounded by the IPC namespace
allow futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue ipc mq_getsetattr
allow mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
allow mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64
allow shmat shmctl shmdt shmget

group files: bounded by the mount namespace and file permissions
allow access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3
allow epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
allow epoll_wait_old eventfd eventfd2 faccessat faccessat2 fadvise64 fadvise64_64 fallocate
allow fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
allow fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64
allow fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64
allow getrandom getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
allow ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit lchown
allow lchown32 lgetxattr link linkat listxattr llistxattr _llseek lremovexattr lseek lsetxattr
allow lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat _newselect open
allow openat openat2 pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6
allow pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
allow removexattr rename renameat renameat2 rmdir select sendfile sendfile64 setpgid setxattr
allow splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs tee
allow truncate truncate64 unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write
allow writev cachestat file_getattr file_setattr setxattrat getxattrat listxattrat removexattrat

group vsock: AF_VSOCK (40) reaches the host, which no namespace bounds
errno=1 socket : arg0 & 0xffffffff == 40
allow socket

group personality: the harmless ones; others weaken address randomisation
allow personality : arg0 == 0x0
allow personality : arg0 == 0x8
allow personality : arg0 == 0x20000
allow personality : arg0 == 0x20008
allow personality : arg0 == 0xffffffff

group tracing: within the pid namespace; the filter bypass was closed in Linux 4.8
allow process_vm_readv process_vm_writev ptrace

group probes: the kernel's own trampoline calls it where somebody traces the process
allow arch=x86_64,x32 uprobe uretprobe

group architectures: calls that only some processors need
allow arch=arm,aarch64 arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls
allow arch=x86_64,x32 arch_prctl
allow arch=x86_64,x32,i386 modify_ldt
allow arch=riscv64 riscv_flush_icache riscv_hwprobe

group capabilities: refused by the kernel anyway without the capability; less kernel to reach
allow cap=CAP_DAC_READ_SEARCH open_by_handle_at
allow cap=CAP_SYS_ADMIN bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
allow cap=CAP_SYS_ADMIN mount mount_setattr move_mount open_tree open_tree_attr quotactl quotactl_fd
allow cap=CAP_SYS_ADMIN perf_event_open setdomainname sethostname setns syslog umount umount2 unshare
allow cap=CAP_SYS_ADMIN statmount listmount listns
allow cap=CAP_SYS_BOOT reboot
allow cap=CAP_SYS_CHROOT chroot
allow cap=CAP_SYS_MODULE delete_module init_module finit_module
allow cap=CAP_SYS_PACCT acct
allow cap=CAP_SYS_PTRACE kcmp pidfd_getfd process_madvise
allow cap=CAP_SYS_RAWIO iopl ioperm
allow cap=CAP_SYS_TIME settimeofday stime clock_settime clock_settime64
allow cap=CAP_SYS_TTY_CONFIG vhangup
allow cap=CAP_SYS_NICE get_mempolicy mbind set_mempolicy set_mempolicy_home_node
allow cap=CAP_SYSLOG syslog
allow cap=CAP_BPF bpf
allow cap=CAP_PERFMON perf_event_open

group clone: no new namespaces; clone3 hides its flags in memory, so libraries shall fall back
allow !cap=CAP_SYS_ADMIN clone : arg0 & 0x7e020000 == 0
errno=38 !cap=CAP_SYS_ADMIN clone3
