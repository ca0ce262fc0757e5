/*
 * The architectures that binfmt knows, in the order in which they are reported.
 *
 * What the kernel compares with a program's first 20 bytes is made of these columns; it is what
 * Debian's package qemu-user has in /usr/share/qemu/binfmt.d (a test compares). The code is the
 * whole of a probe: exit(0), in machine code.
 */
struct architecture {
    const char *name;            /* of the OCI image specification */
    const char *emulator;        /* QEMU's name */
    unsigned char bits;          /* 32 or 64 */
    unsigned char big_endian;
    unsigned short machine;      /* e_machine */
    unsigned flags;              /* e_flags of the probe */
    unsigned char data_mask;     /* byte order and version: bytes 5 and 6 */
    unsigned char abi_mask;      /* OSABI: byte 7 */
    unsigned char version_mask;  /* version of the OSABI: byte 8 */
    unsigned char machine_mask;  /* last byte of a little-endian machine */
    unsigned char size;          /* bytes of code */
    const char *code;
};

static const struct architecture architectures[] = {
    /* push 60; pop rax; xor edi, edi; syscall */
    {"amd64", "x86_64", 64, 0, 62, 0, 0xfe, 0xfc, 0xff, 0xff,
     7, "\x6a\x3c\x58\x31\xff\x0f\x05"},
    /* mov x0, 0; mov x8, 93; svc 0 */
    {"arm64", "aarch64", 64, 0, 183, 0, 0xff, 0, 0xff, 0xff,
     12, "\x00\x00\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4"},
    /* li a0, 0; li a7, 93; ecall */
    {"riscv64", "riscv64", 64, 0, 243, 5, 0xff, 0, 0xff, 0xff,
     12, "\x13\x05\x00\x00\x93\x08\xd0\x05\x73\x00\x00\x00"},
    /* li 3, 0; li 0, 1; sc */
    {"ppc64le", "ppc64le", 64, 0, 21, 2, 0xff, 0xfc, 0xff, 0,
     12, "\x00\x00\x60\x38\x01\x00\x00\x38\x02\x00\x00\x44"},
    /* lghi %r2, 0; svc 1 */
    {"s390x", "s390x", 64, 1, 22, 0, 0xff, 0xfc, 0xff, 0xff,
     6, "\xa7\x29\x00\x00\x0a\x01"},
    /* push 1; pop eax; xor ebx, ebx; int 0x80 */
    {"386", "i386", 32, 0, 3, 0, 0xfe, 0xfc, 0xff, 0xff,
     7, "\x6a\x01\x58\x31\xdb\xcd\x80"},
    /* li $4, 0; li $2, 5058; syscall */
    {"mips64le", "mips64el", 64, 0, 8, 0x60000007, 0xff, 0, 0, 0xff,
     12, "\x00\x00\x04\x24\xc2\x13\x02\x24\x0c\x00\x00\x00"},
    {"mips64", "mips64", 64, 1, 8, 0x60000007, 0xff, 0, 0, 0xff,
     12, "\x24\x04\x00\x00\x24\x02\x13\xc2\x00\x00\x00\x0c"},
    /* addi.d $a0, $zero, 0; addi.d $a7, $zero, 93; syscall 0 */
    {"loong64", "loongarch64", 64, 0, 258, 0x43, 0xff, 0xfc, 0, 0xff,
     12, "\x04\x00\xc0\x02\x0b\x74\xc1\x02\x00\x00\x2b\x00"},
    /* mov r0, 0; mov r7, 1; svc 0 */
    {"arm", "arm", 32, 0, 40, 0x05000000, 0xff, 0, 0xff, 0xff,
     12, "\x00\x00\xa0\xe3\x01\x70\xa0\xe3\x00\x00\x00\xef"},
};

enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

#if defined __x86_64__
#define NATIVE "amd64"
#elif defined __aarch64__
#define NATIVE "arm64"
#elif defined __i386__
#define NATIVE "386"
#elif defined __arm__
#define NATIVE "arm"
#elif defined __powerpc64__
#define NATIVE "ppc64le"
#elif defined __s390x__
#define NATIVE "s390x"
#elif defined __riscv && __riscv_xlen == 64
#define NATIVE "riscv64"
#elif defined __loongarch64
#define NATIVE "loong64"
#endif
