/* Error numbers, with Linux's values; functions return them negated. */
#pragma once

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EACCES 13
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOTTY 25
#define ESPIPE 29
#define ENOSYS 38
#define EOPNOTSUPP 95
#define ETIMEDOUT 110
