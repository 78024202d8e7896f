/*
 * hello: what a C library's start-up and stdio need. Oracle: its output, which the host's Linux
 * gives too: the arguments as they were given, floating point, and nothing in the environment.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	volatile double two = 2;

	for (int i = 0; i < argc; i++)
		printf("argument %d: [%s]\n", i, argv[i]);
	printf("floats: %.10f %g %e\n", sqrt(two), two / 3, -1e300 * two);
	printf("environment: %s %s\n", environ[0] ? environ[0] : "empty",
	       getenv("HOME") ? "HOME" : "no HOME");
	printf("executed as: %s\n",
	       strcmp((char *)getauxval(AT_EXECFN), argv[0]) ? "?" : "argv[0]");
	printf("page size %ld, secure %lu\n", sysconf(_SC_PAGESIZE), getauxval(AT_SECURE));
	printf("stdout is %s\n", isatty(1) ? "a terminal" : "no terminal");
	fflush(stdout);
	fprintf(stderr, "standard error\n");
	if (fopen("/nowhere", "r"))
		printf("opened a file that is not there\n");
	puts("puts");
	printf("no end of line"); /* flushed by exit() */
	return 0;
}
