/* A circular doubly linked list; nodes are members of what they link. */
#ifndef SP_BASE_LIST_H
#define SP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sp__list {
  struct sp__list *next, *previous;
} sp__list_t;

#define SP__OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void sp__list_init(sp__list_t *list) { list->next = list->previous = list; }

static inline bool sp__list_is_empty(const sp__list_t *list) { return list->next == list; }

/* Also whether a node is in no list. */
static inline void sp__list_remove(sp__list_t *node) {
  node->next->previous = node->previous;
  node->previous->next = node->next;
  sp__list_init(node);
}

static inline void sp__list_append(sp__list_t *list, sp__list_t *node) {
  node->next = list;
  node->previous = list->previous;
  list->previous->next = node;
  list->previous = node;
}

/* Moves everything from one list to another, empty one. */
static inline void sp__list_move(sp__list_t *to, sp__list_t *from) {
  sp__list_init(to);
  if (sp__list_is_empty(from))
    return;
  *to = *from;
  to->next->previous = to->previous->next = to;
  sp__list_init(from);
}

#endif
