/* Writes down, in order, what processes change below a folder and what they sync. For LD_PRELOAD.

   JOURNAL_ROOT is the folder (a real path), JOURNAL the file: a page with the length so far and a
   lock, then records (`struct record`, its two paths, its bytes, all padded to 8). A call and its
   record are one step: what one process sees of another's is written down before. Nothing is synced
   really: whoever reads the journal decides what a lost disk cache takes along. A stdio stream is
   written down when it is closed. Writes to mapped memory are not seen; the reader compares the
   outcome with the folder. Programs that are started with another environment get
   these variables again. tests/trust/disk.py reads it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, MKDIR, WRITE, TRUNCATE, RENAME, LINK, UNLINK, SYNC, SYNC_ALL };

struct record {
    uint32_t op, path, path2, unused; /* lengths of the paths */
    uint64_t inode, offset, size;     /* offset: of a write, or the new length */
};
struct control {
    uint64_t length, ready;
    pthread_mutex_t lock;
};

#define PAGE 4096
#define WINDOW (16UL << 20)
#define PADDED(n) (((n) + 7) & ~7UL)
#define ENVIRONMENT 3

static const char *const names[ENVIRONMENT] = {"JOURNAL", "JOURNAL_ROOT", "LD_PRELOAD"};
static char kept[ENVIRONMENT][PATH_MAX + 32]; /* NAME=value */
static char file[PATH_MAX], root[PATH_MAX];
static size_t root_length;
static struct control *control;
static char *window;
static uint64_t window_start, window_size;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static void give_up(const char *what) {
    dprintf(2, "journal: %s: %s\n", what, strerror(errno));
    abort(); /* a journal with holes is worth nothing */
}

static void forget_window(void) { window = NULL; } /* a thread may have been about to move it */

static void *map(uint64_t start, size_t size) {
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
    if (fd < 0) give_up(file);
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
    if (found == MAP_FAILED) give_up("mmap");
    syscall(SYS_close, fd);
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("JOURNAL"), *folder = getenv("JOURNAL_ROOT");
    if (control || !path || !folder) return;
    for (int n = 0; n < ENVIRONMENT; n++) {
        const char *value = getenv(names[n]);
        snprintf(kept[n], sizeof kept[n], "%s=%s", names[n], value ? value : "");
    }
    snprintf(file, sizeof file, "%s", path);
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    struct control *made = map(0, PAGE);
    if (!__atomic_exchange_n(&made->ready, 1, __ATOMIC_SEQ_CST)) { /* the first process, alone */
        pthread_mutexattr_t shared;
        pthread_mutexattr_init(&shared);
        pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST); /* holders are killed */
        pthread_mutex_init(&made->lock, &shared);
        made->length = PAGE;
    }
    pthread_atfork(NULL, NULL, forget_window);
    control = made;
}

static void lock(void) {
    if (pthread_mutex_lock(&control->lock) == EOWNERDEAD) pthread_mutex_consistent(&control->lock);
}

static void unlock(void) {
    int error = errno;
    pthread_mutex_unlock(&control->lock);
    errno = error;
}

/* Whoever calls it holds the lock. */
static void note(struct record record, const char *path, const char *path2,
                 const struct iovec *parts) {
    int error = errno;
    record.path = path ? strlen(path) : 0;
    record.path2 = path2 ? strlen(path2) : 0;
    uint64_t at = control->length;
    uint64_t size = PADDED(sizeof record + record.path + record.path2 + record.size);
    if (!window || at < window_start || at + size > window_start + window_size) {
        if (window) munmap(window, window_size);
        window_start = at & ~(uint64_t)(PAGE - 1);
        window_size = size + PAGE > WINDOW ? (size + 2 * PAGE) & ~(uint64_t)(PAGE - 1) : WINDOW;
        window = map(window_start, window_size);
    }
    char *out = window + (at - window_start);
    memcpy(out, &record, sizeof record);
    out += sizeof record;
    if (path) memcpy(out, path, record.path);
    out += record.path;
    if (path2) memcpy(out, path2, record.path2);
    out += record.path2;
    for (uint64_t left = record.size; left; parts++) {
        size_t part = parts->iov_len < left ? parts->iov_len : left;
        memcpy(out, parts->iov_base, part);
        out += part;
        left -= part;
    }
    __atomic_store_n(&control->length, at + size, __ATOMIC_SEQ_CST);
    errno = error;
}

static int inside(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* The absolute path, if it is below the root. */
static int at_path(int folder, const char *path, char *out) {
    int error = errno;
    char base[PATH_MAX] = "";
    if (!control || !path) return 0;
    if (path[0] != '/') {
        char link[64] = "/proc/self/cwd";
        if (folder != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 2);
        if (length < 0) length = 0;
        base[length] = '/';
        base[length + 1] = 0;
    }
    errno = error;
    if (snprintf(out, PATH_MAX, "%s%s", base, path) >= PATH_MAX) return 0;
    return inside(out);
}

/* Whether it is a file or a folder below the root; what is known of it. */
static int at_descriptor(int fd, struct stat *found) {
    int error = errno;
    char link[64], path[PATH_MAX];
    ssize_t length = -1;
    if (control && !fstat(fd, found) && (S_ISREG(found->st_mode) || S_ISDIR(found->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, path, sizeof path - 1);
    }
    errno = error;
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static uint64_t inode_of(const char *path) {
    struct stat found;
    int error = errno;
    uint64_t inode = lstat(path, &found) ? 0 : found.st_ino;
    errno = error;
    return inode;
}

/* --- files are opened ------------------------------------------------------------------------ */

static int open_noted(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat found;
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE ||
        !at_path(folder, path, full))
        return syscall(SYS_openat, folder, path, flags, mode);
    lock();
    int is_new = !inode_of(full);
    int fd = syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && !fstat(fd, &found) && S_ISREG(found.st_mode)) {
        struct record record = {.op = is_new ? CREATE : TRUNCATE, .inode = found.st_ino};
        if (is_new || flags & O_TRUNC) note(record, full, NULL, NULL);
    }
    unlock();
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_noted(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_noted(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_noted(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    return open_noted(folder, path, flags | O_LARGEFILE, mode);
}
int creat(const char *path, mode_t mode) {
    return open_noted(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* --- files are written ----------------------------------------------------------------------- */

/* `at` -1: where the descriptor stands, which has moved by then. */
static ssize_t wrote(int fd, ssize_t done, off_t at, uint64_t inode, const struct iovec *parts) {
    if (done > 0) {
        if (at < 0) at = lseek(fd, 0, SEEK_CUR) - done;
        struct record record = {.op = WRITE, .inode = inode, .offset = at, .size = done};
        note(record, NULL, NULL, parts);
    }
    unlock();
    return done;
}

#define NOTED_WRITE(call, at, parts) \
    struct stat found; \
    if (!at_descriptor(fd, &found)) return call; \
    lock(); \
    ssize_t done = call; \
    return wrote(fd, done, at, found.st_ino, parts);

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    NOTED_WRITE(syscall(SYS_write, fd, data, size), -1, &part)
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    struct iovec part = {(void *)data, size};
    NOTED_WRITE(syscall(SYS_pwrite64, fd, data, size, at), at, &part)
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    NOTED_WRITE(syscall(SYS_writev, fd, parts, count), -1, parts)
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    REAL(pwritev64);
    NOTED_WRITE(real(fd, parts, count, at), at, parts)
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return pwritev64(fd, parts, count, at);
}

static int resize(int fd, off_t length, int only_longer, int (*change)(int, off_t)) {
    struct stat found;
    if (!at_descriptor(fd, &found)) return change(fd, length);
    lock();
    int done = change(fd, length);
    struct record record = {.op = TRUNCATE, .inode = found.st_ino, .offset = length};
    if (!done && (!only_longer || length > found.st_size)) note(record, NULL, NULL, NULL);
    unlock();
    return done;
}
static int cut(int fd, off_t length) { return syscall(SYS_ftruncate, fd, length); }
static int reserve(int fd, off_t length) { return syscall(SYS_fallocate, fd, 0, 0L, length); }

int ftruncate64(int fd, off64_t length) { return resize(fd, length, 0, cut); }
int ftruncate(int fd, off_t length) { return resize(fd, length, 0, cut); }
int truncate64(const char *path, off64_t length) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = resize(fd, length, 0, cut);
    close(fd);
    return done;
}
int truncate(const char *path, off_t length) { return truncate64(path, length); }
int posix_fallocate64(int fd, off64_t at, off64_t length) {
    return resize(fd, at + length, 1, reserve) ? errno : 0;
}
int posix_fallocate(int fd, off_t at, off_t length) { return posix_fallocate64(fd, at, length); }
int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    struct stat found;
    if (!mode) return resize(fd, at + length, 1, reserve);
    if (!at_descriptor(fd, &found)) return syscall(SYS_fallocate, fd, mode, at, length);
    errno = EOPNOTSUPP; /* callers have another way */
    return -1;
}
int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate64(fd, mode, at, length); }
ssize_t sendfile64(int out, int in, off64_t *at, size_t count) {
    struct stat found;
    if (!at_descriptor(out, &found)) return syscall(SYS_sendfile, out, in, at, count);
    errno = EINVAL; /* callers read and write instead */
    return -1;
}
ssize_t sendfile(int out, int in, off_t *at, size_t count) { return sendfile64(out, in, at, count); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
    struct stat found;
    if (!at_descriptor(out, &found))
        return syscall(SYS_copy_file_range, in, from, out, to, count, flags);
    errno = EXDEV;
    return -1;
}

/* --- stdio ----------------------------------------------------------------------------------- */

typedef FILE *opening(const char *, const char *);

static FILE *stream_noted(const char *path, const char *mode, opening *open) {
    char full[PATH_MAX];
    struct stat found;
    if (mode[0] == 'r' || !at_path(AT_FDCWD, path, full)) return open(path, mode);
    lock();
    int is_new = !inode_of(full);
    FILE *stream = open(path, mode);
    if (stream && !fstat(fileno(stream), &found)) {
        struct record record = {.op = is_new ? CREATE : TRUNCATE, .inode = found.st_ino};
        if (is_new || mode[0] == 'w') note(record, full, NULL, NULL);
    }
    unlock();
    return stream;
}
FILE *fopen64(const char *path, const char *mode) {
    REAL(fopen64);
    return stream_noted(path, mode, real);
}
FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }

/* What the file holds by then, all of it. */
int fclose(FILE *stream) {
    REAL(fclose);
    struct stat found;
    int fd = fileno(stream), copy = -1;
    if (control && fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY &&
        at_descriptor(fd, &found) && S_ISREG(found.st_mode)) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        copy = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    }
    int done = real(stream);
    if (copy < 0) return done;
    lock();
    if (!fstat(copy, &found)) {
        struct iovec part = {malloc(found.st_size + 1), found.st_size};
        if (part.iov_base && pread(copy, part.iov_base, part.iov_len, 0) == found.st_size) {
            struct record record = {.op = WRITE, .inode = found.st_ino, .size = found.st_size};
            note(record, NULL, NULL, &part);
        }
        free(part.iov_base);
    }
    unlock();
    syscall(SYS_close, copy);
    return done;
}

/* --- names ----------------------------------------------------------------------------------- */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char path[PATH_MAX], path2[PATH_MAX];
    int ours = at_path(from_folder, from, path), ours2 = at_path(to_folder, to, path2);
    if (!ours && !ours2)
        return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (ours != ours2) {
        errno = EXDEV; /* callers copy then */
        return -1;
    }
    lock();
    int done = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    struct record record = {.op = RENAME};
    if (!done) note(record, path, path2, NULL);
    unlock();
    return done;
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char path[PATH_MAX], path2[PATH_MAX];
    if (!at_path(to_folder, to, path2) || !at_path(from_folder, from, path))
        return syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    lock();
    int done = syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    struct record record = {.op = LINK};
    if (!done) note(record, path, path2, NULL);
    unlock();
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!at_path(folder, name, path)) return syscall(SYS_unlinkat, folder, name, flags);
    lock();
    int done = syscall(SYS_unlinkat, folder, name, flags);
    struct record record = {.op = UNLINK};
    if (!done) note(record, path, NULL, NULL);
    unlock();
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) { return unlink(path) ? errno == EISDIR ? rmdir(path) : -1 : 0; }

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!at_path(folder, name, path)) return syscall(SYS_mkdirat, folder, name, mode);
    lock();
    int done = syscall(SYS_mkdirat, folder, name, mode);
    struct record record = {.op = MKDIR, .inode = done ? 0 : inode_of(path)};
    if (!done) note(record, path, NULL, NULL);
    unlock();
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* --- what is to be on disk ------------------------------------------------------------------- */

static int synced(int fd, int number) {
    struct stat found;
    if (!at_descriptor(fd, &found)) return syscall(number, fd);
    lock();
    struct record record = {.op = number == SYS_syncfs ? SYNC_ALL : SYNC, .inode = found.st_ino};
    note(record, NULL, NULL, NULL);
    unlock();
    return 0;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
int syncfs(int fd) { return synced(fd, SYS_syncfs); }
void sync(void) {
    if (!control) {
        syscall(SYS_sync);
        return;
    }
    lock();
    struct record record = {.op = SYNC_ALL};
    note(record, NULL, NULL, NULL);
    unlock();
}

/* --- programs -------------------------------------------------------------------------------- */

int execve(const char *path, char *const arguments[], char *const environment[]) {
    REAL(execve);
    int count = 0, added = 0;
    while (environment && environment[count]) count++;
    char *all[count + ENVIRONMENT + 1];
    for (int n = 0; control && n < ENVIRONMENT; n++) {
        size_t length = strlen(names[n]) + 1;
        int found = 0;
        for (int i = 0; i < count; i++) found |= !strncmp(environment[i], kept[n], length);
        if (!found) all[added++] = kept[n];
    }
    for (int i = 0; i < count; i++) all[added++] = environment[i];
    all[added] = NULL;
    return real(path, arguments, all);
}
