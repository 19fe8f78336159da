/* Counting allocations and bytes of the library, of OpenSSL and of libuv, thread by thread. */
#ifndef TEST_SUPPORT_ALLOCATIONS_H
#define TEST_SUPPORT_ALLOCATIONS_H

#include <stddef.h>

typedef enum allocator { OURS, OPENSSLS, LIBUVS, ALLOCATORS } allocator_t;

/* Puts the counting allocators in. First of all in main. */
void allocations_watch(void);

/* Allocations that the calling thread made so far; a reallocation counts too. */
size_t allocations_made(allocator_t of);

/* Bytes that are held of what the calling thread allocated, and the most since the last
 * allocations_reset_peak. Sound only while no other thread frees them. */
size_t allocations_held(allocator_t of);
size_t allocations_peak(allocator_t of);
void allocations_reset_peak(void);

#endif
