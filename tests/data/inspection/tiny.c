static const char table[] = {
#define R(n) n,n*3,n*7,n^0x55,n*11,n+9,n*13,n^0x2a,
#define R4(n) R(n) R(n+1) R(n+2) R(n+3)
#define R16(n) R4(n) R4(n+4) R4(n+8) R4(n+12)
#define R64(n) R16(n) R16(n+16) R16(n+32) R16(n+48)
R64(0) R64(1) R64(2) R64(3) R64(4) R64(5) R64(6) R64(7)
R64(10) R64(11) R64(12) R64(13) R64(14) R64(15) R64(16) R64(17)
};
static int data[64] = {1,2,3};
__attribute__((noinline)) static int f(int n){ int s=0; for(unsigned i=0;i<sizeof table;i++) s+=table[i]^n; return s; }
__attribute__((noinline)) static int g(int n){ return n ? f(n)+f(n+1) : data[n&63]; }
void _start(void){ int s=0; for(int i=0;i<9;i++) s+=g(i)+f(i); __asm__ volatile("syscall"::"a"(60),"D"(s&1)); }
