/* What is still allocated at the end of a process. */
#ifndef SUPPORT_LEAKS_H
#define SUPPORT_LEAKS_H

/* LeakSanitizer cannot tell when other threads go on while the process ends: it is not to try. */
void leaks_ignore(void);

#endif
