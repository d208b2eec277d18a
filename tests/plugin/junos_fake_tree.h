/* junos_fake_tree.h - between the files of the router for tests: its tree */
#ifndef JUNOS_FAKE_TREE_H
#define JUNOS_FAKE_TREE_H

#include <libxml/parser.h>
#include <stddef.h>

/* xchild - the first element below with this name, NULL none;  xitem - the one of a list with this <name> */
xmlNode *xchild(const xmlNode *parent, const char *name);
xmlNode *xitem(const xmlNode *parent, const char *list, const char *asked);

/* xtext, xchild_text - the text there, "" none; until 512 more were asked for.   fake_texts_end - free them */
char *xtext(const xmlNode *n);
char *xchild_text(const xmlNode *parent, const char *name);
void fake_texts_end(void);

/* fake_merge - what a load does;  fake_fault - NULL, or what a router would refuse, with the path of it */
void fake_merge(xmlNode *to, xmlNode *from);
const char *fake_fault(const xmlDoc *doc, char *path, size_t size);

#endif
