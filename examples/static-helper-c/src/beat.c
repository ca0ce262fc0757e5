/* beat: runs a command when a file has not been touched for some seconds, once, and ends.
 * A watchdog for containers without an init: the program touches the file while it lives.
 *
 *     beat FILE SECONDS COMMAND [WORD...]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int stale(const char *file, long limit)
{
    struct stat info;
    if (stat(file, &info) != 0)
        return errno == ENOENT;
    return time(NULL) - info.st_mtime >= limit;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("beat for %s\n", HOST);
        return 0;
    }
    char *end = NULL;
    long limit = argc > 3 ? strtol(argv[2], &end, 10) : 0;
    if (argc < 4 || limit < 1 || *end != '\0') {
        fputs("usage: beat FILE SECONDS COMMAND [WORD...]\n", stderr);
        return 2;
    }
    while (!stale(argv[1], limit))
        sleep(1);
    execvp(argv[3], argv + 3);
    fprintf(stderr, "beat: %s: %s\n", argv[3], strerror(errno));
    return 127;
}
