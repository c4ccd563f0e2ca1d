// What a container costs at least: the namespaces that container tools make, a prepared root, /proc,
// and a program in it. Usage: floor ROOT PROGRAM. Works as root and, with one id mapped, as a user.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what) {
  if (result < 0) {
    perror(what);
    _exit(125);
  }
}

static void put(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  check(file, path);
  check(dprintf(file, "%s", text), path);
  close(file);
}

int main(int argc, char **argv) {
  if (argc != 3) return 125;
  unsigned uid = getuid(), gid = getgid();
  int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
  if (uid != 0) flags |= CLONE_NEWUSER;
  long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  check(child, "clone");
  if (child == 0) {
    if (uid != 0) {
      char map[64];
      put("/proc/self/setgroups", "deny");
      snprintf(map, sizeof map, "0 %u 1", uid);
      put("/proc/self/uid_map", map);
      snprintf(map, sizeof map, "0 %u 1", gid);
      put("/proc/self/gid_map", map);
    }
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    check(mount(argv[1], argv[1], NULL, MS_BIND, NULL), argv[1]);
    check(chdir(argv[1]), argv[1]);
    check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    execl(argv[2], argv[2], (char *)NULL);
    check(-1, argv[2]);
  }
  int status;
  check(waitpid(child, &status, 0), "wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
