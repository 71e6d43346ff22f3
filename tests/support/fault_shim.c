/* Calls of the C library that fail where they are told to: preloaded into the process under test.

   Every call on a path below `prefix` is counted and noted while `armed` is set, and the one with
   the number `target` fails with `error`, or does half of its work, or is met by a signal. The
   numbers and the notes lie in memory that the process shares with its parent, which can read them
   whatever becomes of the process. Other paths, pipes and sockets are left alone. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTES = 8192, NAME = 120 };

/* As `Shared` in fault_worker.py has them. */
enum { FAIL, SHORT, SIGNAL };
enum { OPEN, READ, WRITE, FSYNC, CLOSE, TRUNCATE, RENAME, MKDIR, RMDIR, UNLINK, LIST, STAT, LOCK };

struct note {
    int kind, phase, fired;
    char path[NAME];
};

struct shared {
    int armed, phase, count, target, action, error, lasting, fired;
    char prefix[512];
    struct note notes[NOTES];
};

static struct shared *shared;
static __thread int inside;

void fault_share(struct shared *memory) { shared = memory; }

#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    size_t length = strlen(shared->prefix);
    return strncmp(path, shared->prefix, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* What lasts on a disk that is full, or may only be read, concerns changes of it alone. */
static int concerned(int kind, int error, int creates) {
    if (error != ENOSPC && error != EROFS) return 1;
    switch (kind) {
        case OPEN: return creates;
        case WRITE: case MKDIR: return 1;
        case FSYNC: return error == ENOSPC;
        case TRUNCATE: case RENAME: case RMDIR: case UNLINK: return error == EROFS;
        default: return 0;
    }
}

/* Counts a call; returns 0: go on, 1: fail with errno, 2: do half of it. */
static int fault(int kind, const char *path, int creates) {
    if (!shared || !__atomic_load_n(&shared->armed, __ATOMIC_ACQUIRE) || inside) return 0;
    char absolute[PATH_MAX];
    inside = 1;
    int saved = errno;
    if (path[0] != '/') {
        if (getcwd(absolute, sizeof absolute - NAME) == NULL) absolute[0] = '\0';
        size_t length = strlen(absolute);
        snprintf(absolute + length, sizeof absolute - length, "/%s", path);
        path = absolute;
    }
    errno = saved;
    inside = 0;
    if (!below(path)) return 0;
    int number = __atomic_fetch_add(&shared->count, 1, __ATOMIC_ACQ_REL);
    int hit = number == shared->target;
    if (!hit && shared->lasting && number > shared->target && shared->target >= 0)
        hit = concerned(kind, shared->error, creates);
    if (number < NOTES) {
        struct note *note = &shared->notes[number];
        note->kind = kind;
        note->phase = shared->phase;
        note->fired = hit;
        strncpy(note->path, path + strlen(shared->prefix), NAME - 1);
    }
    if (!hit) return 0;
    int first = __atomic_fetch_add(&shared->fired, 1, __ATOMIC_ACQ_REL) == 0;
    if (shared->action == SIGNAL) {
        if (first) raise(shared->error);
        return 0;
    }
    if (shared->action == SHORT) return kind == WRITE || kind == READ ? 2 : 0;
    /* A disk that fills takes some of what comes, and then nothing. */
    if (shared->lasting && first && kind == WRITE && shared->error == ENOSPC) return 2;
    errno = shared->error;
    return 1;
}

static int fault_at(int kind, int descriptor, const char *path, int creates) {
    if (!shared || !shared->armed || inside) return 0;
    char name[64], folder[PATH_MAX];
    if (path != NULL && (path[0] == '/' || descriptor == AT_FDCWD))
        return fault(kind, path, creates);
    int saved = errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, folder, sizeof folder - 1 - NAME);
    errno = saved;
    if (length <= 0 || folder[0] != '/') return 0;
    folder[length] = '\0';
    if (path != NULL && path[0] != '\0')
        snprintf(folder + length, sizeof folder - (size_t)length, "/%s", path);
    return fault(kind, folder, creates);
}

static int fault_fd(int kind, int descriptor) { return fault_at(kind, descriptor, NULL, 1); }

#define OPENING(name, arguments, call, at, path)                                                   \
    int name arguments {                                                                           \
        REAL(name);                                                                                \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list rest;                                                                          \
            va_start(rest, flags);                                                                 \
            mode = va_arg(rest, mode_t);                                                           \
            va_end(rest);                                                                          \
        }                                                                                          \
        if (fault_at(OPEN, at, path, (flags & O_CREAT) != 0)) return -1;                           \
        return real call;                                                                          \
    }
OPENING(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, path)
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, path)
OPENING(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, path)
OPENING(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, path)

#define MOVING(kind, name, parameters, whole, half)                                                \
    ssize_t name parameters {                                                                      \
        REAL(name);                                                                                \
        switch (fault_fd(kind, descriptor)) {                                                      \
            case 1: return -1;                                                                     \
            case 2: return real half;                                                              \
            default: return real whole;                                                            \
        }                                                                                          \
    }
#define HALF (size > 1 ? size / 2 : size)
MOVING(READ, read, (int descriptor, void *to, size_t size), (descriptor, to, size),
       (descriptor, to, HALF))
MOVING(WRITE, write, (int descriptor, const void *from, size_t size), (descriptor, from, size),
       (descriptor, from, HALF))
MOVING(READ, pread64, (int descriptor, void *to, size_t size, off64_t at),
       (descriptor, to, size, at), (descriptor, to, HALF, at))
MOVING(WRITE, pwrite64, (int descriptor, const void *from, size_t size, off64_t at),
       (descriptor, from, size, at), (descriptor, from, HALF, at))
MOVING(WRITE, writev, (int descriptor, const struct iovec *parts, int size),
       (descriptor, parts, size), (descriptor, parts, HALF))

#define PLAIN(kind, name, parameters, call, failing)                                               \
    int name parameters {                                                                          \
        REAL(name);                                                                                \
        return (failing) == 1 ? -1 : real call;                                                    \
    }
PLAIN(FSYNC, fsync, (int descriptor), (descriptor), fault_fd(FSYNC, descriptor))
PLAIN(FSYNC, fdatasync, (int descriptor), (descriptor), fault_fd(FSYNC, descriptor))
PLAIN(TRUNCATE, ftruncate, (int descriptor, off_t size), (descriptor, size),
      fault_fd(TRUNCATE, descriptor))
PLAIN(TRUNCATE, ftruncate64, (int descriptor, off64_t size), (descriptor, size),
      fault_fd(TRUNCATE, descriptor))
PLAIN(TRUNCATE, truncate, (const char *path, off_t size), (path, size), fault(TRUNCATE, path, 1))
PLAIN(TRUNCATE, truncate64, (const char *path, off64_t size), (path, size),
      fault(TRUNCATE, path, 1))
PLAIN(RENAME, rename, (const char *from, const char *to), (from, to), fault(RENAME, to, 1))
PLAIN(RENAME, renameat, (int from_at, const char *from, int to_at, const char *to),
      (from_at, from, to_at, to), fault_at(RENAME, to_at, to, 1))
PLAIN(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode), fault(MKDIR, path, 1))
PLAIN(MKDIR, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode),
      fault_at(MKDIR, at, path, 1))
PLAIN(RMDIR, rmdir, (const char *path), (path), fault(RMDIR, path, 1))
PLAIN(UNLINK, unlink, (const char *path), (path), fault(UNLINK, path, 1))
PLAIN(UNLINK, unlinkat, (int at, const char *path, int flags), (at, path, flags),
      fault_at(UNLINK, at, path, 1))
PLAIN(LOCK, flock, (int descriptor, int operation), (descriptor, operation),
      fault_fd(LOCK, descriptor))
PLAIN(STAT, stat, (const char *path, struct stat *to), (path, to), fault(STAT, path, 0))
PLAIN(STAT, stat64, (const char *path, struct stat64 *to), (path, to), fault(STAT, path, 0))
PLAIN(STAT, lstat, (const char *path, struct stat *to), (path, to), fault(STAT, path, 0))
PLAIN(STAT, lstat64, (const char *path, struct stat64 *to), (path, to), fault(STAT, path, 0))
PLAIN(STAT, fstat, (int descriptor, struct stat *to), (descriptor, to),
      fault_fd(STAT, descriptor))
PLAIN(STAT, fstat64, (int descriptor, struct stat64 *to), (descriptor, to),
      fault_fd(STAT, descriptor))
PLAIN(STAT, fstatat, (int at, const char *path, struct stat *to, int flags), (at, path, to, flags),
      fault_at(STAT, at, path, 0))
PLAIN(STAT, fstatat64, (int at, const char *path, struct stat64 *to, int flags),
      (at, path, to, flags), fault_at(STAT, at, path, 0))

/* A descriptor is gone after close, whatever close says. */
int close(int descriptor) {
    REAL(close);
    int failing = fault_fd(CLOSE, descriptor), saved = errno, result = real(descriptor);
    if (failing != 1) return result;
    errno = saved;
    return -1;
}

DIR *opendir(const char *path) {
    REAL(opendir);
    return fault(LIST, path, 0) == 1 ? NULL : real(path);
}

DIR *fdopendir(int descriptor) {
    REAL(fdopendir);
    return fault_fd(LIST, descriptor) == 1 ? NULL : real(descriptor);
}
