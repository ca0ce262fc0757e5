/*
 * Registers QEMU's emulators with the kernel (binfmt_misc) and says what this machine runs.
 *
 * Options, words, JSON and environment are those of tonistiigi/binfmt, which setup-qemu-action
 * and buildx call. What differs is in docs/catalog/binfmt.md: an exit code that tells the truth,
 * the flag C only when it is asked for, and a check that entries outlive this program.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "architectures.h"

#define DEFAULT_MOUNT "/proc/sys/fs/binfmt_misc"
#define PATH_SIZE 4096
#define HEADER 20 /* bytes of a program that the kernel compares */

static struct {
    const char *install, *uninstall, *mount;
    int version, credentials;
} options = {.mount = DEFAULT_MOUNT};

static int failed;                /* the exit code */
static int runs[ARCHITECTURES];   /* what the probes found */
static int wanted[ARCHITECTURES]; /* registered now, so that it has to run */

static const char *variable(const char *name, const char *absent)
{
    const char *value = getenv(name);
    return value && *value ? value : absent;
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    failed = 1;
}

/* Strings, cut where they do not fit: paths of this program are short, and open says the rest. */
__attribute__((format(printf, 2, 3))) static char *write_path(char *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(to, PATH_SIZE, format, arguments);
    va_end(arguments);
    return to;
}

/* ---- what the machine runs ------------------------------------------------------------- */

static unsigned char *put(unsigned char *at, unsigned long long value, int size, int big_endian)
{
    for (int i = 0; i < size; i++)
        at[big_endian ? size - 1 - i : i] = value >> (8 * i);
    return at + size;
}

/* The smallest program of an architecture: one header, one segment, exit(0). Returns its size. */
static int write_probe(const struct architecture *a, unsigned char *to)
{
    int big = a->big_endian, word = a->bits / 8;
    int header = a->bits == 64 ? 64 : 52, segment = a->bits == 64 ? 56 : 32;
    int size = header + segment + a->size;
    unsigned long long address = 0x400000;
    unsigned char *at = to;

    memcpy(at, "\x7f" "ELF", 4);
    at[4] = a->bits / 32, at[5] = 1 + big, at[6] = 1;
    memset(at + 7, 0, 9);
    at = put(at + 16, 2, 2, big); /* ET_EXEC */
    at = put(at, a->machine, 2, big);
    at = put(at, 1, 4, big);
    at = put(at, address + header + segment, word, big);
    at = put(at, header, word, big);
    at = put(at, 0, word, big);
    at = put(at, a->flags, 4, big);
    at = put(at, header, 2, big);
    at = put(at, segment, 2, big);
    at = put(at, 1, 2, big);
    at = put(at, 0, 6, big);

    at = put(at, 1, 4, big); /* PT_LOAD */
    if (a->bits == 64)
        at = put(at, 5, 4, big); /* readable, executable */
    at = put(at, 0, word, big);
    at = put(at, address, word, big);
    at = put(at, address, word, big);
    at = put(at, size, word, big);
    at = put(at, size, word, big);
    if (a->bits == 32)
        at = put(at, 5, 4, big);
    put(at, 0x10000, word, big);

    memcpy(to + header + segment, a->code, a->size);
    return size;
}

/*
 * Whether a program of the architecture runs, also where the emulator's file cannot be seen:
 * a container has a root of its own, so the kernel must hold the emulator open (flag F).
 */
static int probe(const struct architecture *a)
{
    static int warned;
    unsigned char program[256];
    int size = write_probe(a, program), status = -1;
    char folder[] = "/tmp/binfmt-XXXXXX", path[sizeof folder + 8];

    if (!mkdtemp(folder)) {
        if (!warned++)
            fail("error: cannot write to /tmp, so nothing can be probed: %s\n", strerror(errno));
        return 0;
    }
    snprintf(path, sizeof path, "%s/check", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (file >= 0) {
        int whole = write(file, program, size) == size;
        close(file);
        pid_t child = whole ? fork() : -1;
        if (!child) {
            if (!chroot(folder) && !chdir("/"))
                execl("/check", "/check", (char *)0);
            _exit(126);
        }
        if (child > 0)
            while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
    }
    unlink(path);
    rmdir(folder);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void probe_all(void)
{
    for (int i = 0; i < ARCHITECTURES; i++)
        runs[i] = probe(architectures + i);
}

/* ---- entries of binfmt_misc ------------------------------------------------------------ */

struct names {
    char **at;
    int count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of entries, sorted; enabled ones only, or all. */
static struct names entries(int enabled_only)
{
    struct names found = {0};
    DIR *folder = opendir(options.mount);
    if (!folder)
        return found;
    for (struct dirent *each; (each = readdir(folder));) {
        const char *name = each->d_name;
        char path[PATH_SIZE], state[8] = "";
        if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "register") ||
            !strcmp(name, "status"))
            continue;
        if (enabled_only) {
            int file = open(write_path(path, "%s/%s", options.mount, name), O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            ssize_t got = read(file, state, 7);
            close(file);
            if (got != 7 || strcmp(state, "enabled"))
                continue;
        }
        char **more = realloc(found.at, (found.count + 1) * sizeof *more);
        char *copy = strdup(name);
        if (!more || !copy)
            abort();
        found.at = more;
        found.at[found.count++] = copy;
    }
    closedir(folder);
    qsort(found.at, found.count, sizeof *found.at, compare);
    return found;
}

static int exists(const char *name)
{
    char path[PATH_SIZE];
    return !access(write_path(path, "%s/%s", options.mount, name), F_OK);
}

static int write_entry(const char *name, const char *text, int size)
{
    char path[PATH_SIZE];
    int file = open(write_path(path, "%s/%s", options.mount, name), O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int error = write(file, text, size) == size ? 0 : errno ? errno : EIO;
    close(file);
    return error;
}

/* ---- words that name an architecture --------------------------------------------------- */

static const struct architecture *architecture_called(const char *name)
{
    for (int i = 0; i < ARCHITECTURES; i++)
        if (!strcmp(architectures[i].name, name))
            return architectures + i;
    return 0;
}

/*
 * The architecture of a platform as containerd reads it: ARCH, OS, OS/ARCH or OS/ARCH/VARIANT.
 * `name` gets its usual name, or the word itself where it names none.
 */
static const struct architecture *parse_platform(const char *word, char *name, size_t size)
{
    static const char *const same[][2] = {
        {"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"},
        {"i386", "386"},     {"armhf", "arm"},    {"armel", "arm"},
        {"linux", NATIVE},
    };
    char text[64];
    const char *slash = strchr(word, '/');
    snprintf(text, sizeof text, "%s", slash ? slash + 1 : word);
    text[strcspn(text, "/")] = 0;
    for (char *at = text; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at += 'a' - 'A';
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!strcmp(text, same[i][0]))
            snprintf(text, sizeof text, "%s", same[i][1]);
    const struct architecture *found = architecture_called(text);
    snprintf(name, size, "%s", found ? text : word);
    return found;
}

/* ---- install and uninstall ------------------------------------------------------------- */

static char *emulator_file(const struct architecture *a, char *path)
{
    return write_path(path, "%s/%sqemu-%s", variable("QEMU_BINARY_PATH", "/usr/bin"),
                      variable("QEMU_BINARY_PREFIX", ""), a->emulator);
}

static int hex(char *to, const unsigned char *bytes)
{
    for (int i = 0; i < HEADER; i++)
        sprintf(to + 4 * i, "\\x%02x", bytes[i]);
    return 4 * HEADER;
}

/* The line that registers an emulator (Linux, admin-guide/binfmt-misc). Returns its length. */
static int registration(const struct architecture *a, const char *entry, const char *file,
                        char *line)
{
    unsigned char magic[256], mask[HEADER];
    char magic_text[4 * HEADER + 1], mask_text[4 * HEADER + 1];
    write_probe(a, magic);
    memset(mask, 0xff, HEADER);
    mask[5] = mask[6] = a->data_mask;
    mask[7] = a->abi_mask;
    mask[8] = a->version_mask;
    mask[16 + a->big_endian] = 0xfe; /* also ET_DYN */
    if (!a->big_endian)
        mask[19] = a->machine_mask;
    hex(magic_text, magic);
    hex(mask_text, mask);
    const char *credentials = options.credentials ? "C" : "";
    const char *argv0 = *variable("QEMU_PRESERVE_ARGV0", "") ? "P" : "";
    write_path(line, ":%s:M:0:%s:%s:%s:%sF%s", entry, magic_text, mask_text, file, credentials,
               argv0);
    return strlen(line);
}

static int is_native(const struct architecture *a)
{
    return !strcmp(a->name, NATIVE);
}

/* 32-bit programs of the processor's own kind, where the kernel runs them. */
static int may_run_natively(const struct architecture *a)
{
    return (!strcmp(NATIVE, "amd64") && !strcmp(a->name, "386")) ||
           (!strcmp(NATIVE, "arm64") && !strcmp(a->name, "arm"));
}

static void install(const struct architecture *a)
{
    char entry[PATH_SIZE], file[PATH_SIZE], line[PATH_SIZE];
    const char *prefix = variable("QEMU_BINARY_PREFIX", "");
    if (strchr(prefix, '/')) {
        fail("installing: %s binary prefix must not contain path separator"
             " (Hint: set $QEMU_BINARY_PATH to specify the directory)\n", a->name);
        return;
    }
    write_path(entry, "%sqemu-%s", prefix, a->emulator);
    emulator_file(a, file);
    if (is_native(a)) {
        /* Registered, it would run every program of this machine, itself included. */
        fprintf(stderr, "installing: %s not registered: this machine runs it natively\n", a->name);
        return;
    }
    if (exists(entry)) {
        fprintf(stderr, "installing: %s %s already registered\n", a->name, entry);
        return;
    }
    if (may_run_natively(a) && probe(a)) {
        fprintf(stderr, "installing: %s not registered: this machine runs it natively\n", a->name);
        return;
    }
    int error = write_entry("register", line, registration(a, entry, file, line));
    if (error == EEXIST) {
        fprintf(stderr, "installing: %s %s already registered\n", a->name, entry);
    } else if (error) {
        fail("installing: %s cannot register \"%s\" to %s/register: %s\n", a->name, file,
             options.mount, strerror(error));
    } else {
        fprintf(stderr, "installing: %s OK\n", a->name);
        wanted[a - architectures] = 1;
    }
}

/* Every architecture that the kernel does not run yet and whose emulator is here. */
static void install_all(void)
{
    char path[PATH_SIZE];
    int found = 0;
    probe_all();
    for (int i = 0; i < ARCHITECTURES; i++) {
        if (access(emulator_file(architectures + i, path), F_OK))
            continue;
        found = 1;
        if (!runs[i])
            install(architectures + i);
    }
    if (!found)
        fail("error: no emulator in %s\n", variable("QEMU_BINARY_PATH", "/usr/bin"));
}

static void install_list(const char *list)
{
    char *words = strdup(list), name[128];
    for (char *word, *rest = words; (word = strsep(&rest, ","));) {
        const struct architecture *a = parse_platform(word, name, sizeof name);
        if (a)
            install(a);
        else
            fail("installing: %s unsupported architecture: %s\n", word, word);
    }
    free(words);
}

static void uninstall_one(const char *name)
{
    int error = write_entry(name, "-1", 2);
    if (error)
        fail("uninstalling: %s %s\n", name, strerror(error));
    else
        fprintf(stderr, "uninstalling: %s OK\n", name);
}

/* A platform, else a glob over names; without a match, the first entry that ends in -WORD. */
static void uninstall(const char *word)
{
    char name[128], suffix[160];
    const struct architecture *a = parse_platform(word, name, sizeof name);
    const char *pattern = a ? a->emulator : word;
    struct names all = entries(0);
    int matches = 0;
    snprintf(suffix, sizeof suffix, "-%s", pattern);
    for (int by_suffix = 0; by_suffix < 2 && !matches; by_suffix++)
        for (int i = 0; i < all.count && !(by_suffix && matches); i++) {
            const char *each = all.at[i];
            size_t length = strlen(each), tail = strlen(suffix);
            int fits = by_suffix ? length > tail && !strcmp(each + length - tail, suffix)
                                 : !fnmatch(pattern, each, 0);
            /* Windows programs of WSL: another's, and it does not come back by itself. */
            if (fits && strcmp(each, "WSLInterop")) {
                uninstall_one(each);
                matches++;
            }
        }
    if (!matches)
        fprintf(stderr, "uninstalling: %s not found\n", word);
}

static void uninstall_list(const char *list)
{
    char *words = strdup(list);
    for (char *word, *rest = words; (word = strsep(&rest, ","));)
        uninstall(word);
    free(words);
}

/* ---- the report ------------------------------------------------------------------------ */

static void print_string(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < ' ' || *at == '<' || *at == '>' || *at == '&' || *at == 0x7f)
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

static void print_native(void)
{
    printf("    \"linux/" NATIVE "%s\"", strcmp(NATIVE, "arm") ? "" : "/v7");
#if defined __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v2"))
        printf(",\n    \"linux/amd64/v2\"");
    if (__builtin_cpu_supports("x86-64-v3"))
        printf(",\n    \"linux/amd64/v3\"");
    if (__builtin_cpu_supports("x86-64-v4"))
        printf(",\n    \"linux/amd64/v4\"");
#elif defined __arm__
    printf(",\n    \"linux/arm/v6\"");
#endif
}

static void print_status(void)
{
    printf("{\n  \"supported\": [\n");
    print_native();
    for (int i = 0; i < ARCHITECTURES; i++) {
        const char *name = architectures[i].name;
        if (!runs[i] || is_native(architectures + i))
            continue;
        if (!strcmp(name, "arm"))
            printf(",\n    \"linux/arm/v7\",\n    \"linux/arm/v6\"");
        else
            printf(",\n    \"linux/%s\"", name);
    }
    struct names enabled = entries(1);
    printf("\n  ],\n  \"emulators\": %s", enabled.count ? "[\n" : "null");
    for (int i = 0; i < enabled.count; i++) {
        printf("    ");
        print_string(enabled.at[i]);
        printf("%s\n", i + 1 < enabled.count ? "," : "");
    }
    printf("%s\n}\n", enabled.count ? "  ]" : "");
}

/* ---- the mount, and whether entries outlive it ------------------------------------------ */

static int mount_here(void)
{
    return mount("binfmt_misc", options.mount, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
}

/*
 * With --pid=host, process 1 is the machine's: mount binfmt_misc there, where it stays. Looking
 * at the path first lets a waiting systemd automount do it. 0 if it is mounted there now.
 */
static int mount_on_host(void)
{
    struct stat ours, theirs;
    int status = -1;
    if (stat("/proc/self/ns/mnt", &ours) || stat("/proc/1/ns/mnt", &theirs) ||
        (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino))
        return -1;
    int space = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (space < 0)
        return -1;
    pid_t child = fork();
    if (!child)
        _exit(setns(space, CLONE_NEWNS) || (access(DEFAULT_MOUNT "/status", F_OK) &&
              mount("binfmt_misc", DEFAULT_MOUNT, "binfmt_misc",
                    MS_NOSUID | MS_NODEV | MS_NOEXEC, 0)));
    close(space);
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Since Linux 6.7 the last unmount drops all entries. Ours may be the only mount: on a machine
 * where none was made yet, or where systemd makes it at the first look (an automount, which a
 * container does not reach). So unmount, mount again, and count.
 */
static void unmount_and_look(void)
{
    int before = entries(1).count;
    if (umount(options.mount)) {
        fail("error: cannot unmount %s: %s\n", options.mount, strerror(errno));
        return;
    }
    if (!options.install || !before || mount_here())
        return;
    int after = entries(1).count;
    umount(options.mount);
    if (after >= before)
        return;
    fail("error: the kernel dropped the entries with the last mount of binfmt_misc:"
         " this machine had none mounted\n"
         "hint: run on the machine itself, then install again:"
         " ls " DEFAULT_MOUNT "/status || sudo mount -t binfmt_misc binfmt_misc " DEFAULT_MOUNT "\n"
         "hint: or run this image with --pid=host as well, so that it can mount there\n");
}

/* ---- the command line ------------------------------------------------------------------- */

static void usage(const char *program)
{
    fprintf(stderr,
            "Usage of %s:\n"
            "  -credentials\n"
            "    \tset-uid programs of other architectures get their owner's rights (flag C)\n"
            "  -install string\n"
            "    \tarchitectures to install\n"
            "  -mount string\n"
            "    \tbinfmt_misc mount point (default \"" DEFAULT_MOUNT "\")\n"
            "  -uninstall string\n"
            "    \tarchitectures to uninstall\n"
            "  -version\n"
            "    \tdisplay version\n",
            program);
}

static int truth(const char *value)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (!strcmp(value, yes[i]))
            return 1;
        if (!strcmp(value, no[i]))
            return 0;
    }
    return -1;
}

static void wrong(const char *program, const char *what, const char *name)
{
    fprintf(stderr, "%s: -%s\n", what, name);
    usage(program);
    exit(2);
}

/* As Go's package flag reads them: -name value, -name=value, one dash or two. */
static void parse_options(int count, char **words)
{
    struct { const char *name; const char **text; int *flag; } known[] = {
        {"install", &options.install, 0},   {"uninstall", &options.uninstall, 0},
        {"mount", &options.mount, 0},       {"version", 0, &options.version},
        {"credentials", 0, &options.credentials},
    };
    for (int i = 1; i < count; i++) {
        char *word = words[i];
        if (word[0] != '-' || !word[1])
            return;
        word += word[1] == '-' ? 2 : 1;
        if (!*word)
            return;
        char *value = strchr(word, '=');
        if (value)
            *value++ = 0;
        size_t which = 0;
        while (which < sizeof known / sizeof *known && strcmp(known[which].name, word))
            which++;
        if (which == sizeof known / sizeof *known) {
            if (!strcmp(word, "h") || !strcmp(word, "help")) {
                usage(words[0]);
                exit(0);
            }
            wrong(words[0], "flag provided but not defined", word);
        }
        if (known[which].flag) {
            int on = value ? truth(value) : 1;
            if (on < 0)
                wrong(words[0], "invalid boolean value for", word);
            *known[which].flag = on;
            continue;
        }
        if (!value && i + 1 == count)
            wrong(words[0], "flag needs an argument", word);
        *known[which].text = value ? value : words[++i];
    }
}

/* QEMU's version, from the first emulator that is here. */
static void print_version(void)
{
    char path[PATH_SIZE], line[256] = "";
    for (int i = 0; i < ARCHITECTURES && !*line; i++) {
        int ends[2];
        if (access(emulator_file(architectures + i, path), X_OK) || pipe2(ends, O_CLOEXEC))
            continue;
        pid_t child = fork();
        if (!child) {
            dup2(ends[1], 1);
            execl(path, path, "--version", (char *)0);
            _exit(126);
        }
        close(ends[1]);
        FILE *output = fdopen(ends[0], "r");
        if (output) {
            if (!fgets(line, sizeof line, output))
                *line = 0;
            fclose(output);
        }
        if (child > 0)
            waitpid(child, 0, 0);
    }
    const char *version = strstr(line, "version ");
    version = version ? version + strlen("version ") : "unknown";
    fprintf(stderr, "binfmt/homeport qemu/v%.*s\n", (int)strcspn(version, " \n"), version);
}

int main(int count, char **words)
{
    char path[PATH_SIZE];
    parse_options(count, words);
    if (options.version) {
        print_version();
        return 0;
    }
    if (*variable("QEMU_CREDENTIALS", ""))
        options.credentials = 1;

    int mounted = 0;
    if (access(write_path(path, "%s/status", options.mount), F_OK)) {
        if (options.install && !strcmp(options.mount, DEFAULT_MOUNT))
            mount_on_host();
        if (mount_here()) {
            int error = errno;
            fail("error: %s\ncannot mount binfmt_misc filesystem at %s\n", strerror(error),
                 options.mount);
            fputs(error == EPERM || error == EACCES
                      ? "hint: run the container with --privileged\n"
                  : error == ENODEV ? "hint: load the kernel module: sudo modprobe binfmt_misc\n"
                  : error == ENOENT ? "hint: the directory is missing\n" : "", stderr);
            return 1;
        }
        mounted = 1;
    }
    if (options.uninstall && *options.uninstall)
        uninstall_list(options.uninstall);
    if (options.install && !strcmp(options.install, "all"))
        install_all();
    else if (options.install && *options.install)
        install_list(options.install);

    probe_all();
    for (int i = 0; i < ARCHITECTURES; i++)
        if (wanted[i] && !runs[i])
            fail("error: %s is registered, but its programs do not run\n", architectures[i].name);
    print_status();
    fflush(stdout);
    if (mounted)
        unmount_and_look();
    return failed;
}
