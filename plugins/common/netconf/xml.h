/* xml.h - what the files of this folder share of reading XML
 *
 * Pure, but for libxml2's state of a thread.  What comes from a peer has no DTD, no entities of its own and no network.
 */
#ifndef NC_XML_H
#define NC_XML_H

#include "netconf.h"

/* nc_xml_parse - text[len] as a document; when it is not well-formed it is mended in place, and then read as far as it
 * goes
 * in:   one byte behind the text must be there, whatever it holds
 * out:  *repaired
 * ret:  NULL: it cannot be read, or it has a document type, which no peer may send */
xmlDoc *nc_xml_parse(char *text, size_t len, bool *repaired);

/* nc_xml_free - wipe all text of a document, then free it; NULL is fine */
void nc_xml_free(xmlDoc *doc);

/* nc_xml_begin - text without the blanks and comments at its begin.  ret: where it begins, or its end */
char *nc_xml_begin(char *text, size_t len);

/* nc_xml_after - the element or text behind node within top, in document order; into: it may be in node */
const xmlNode *nc_xml_after(const xmlNode *node, const xmlNode *top, bool into);

/* nc_xml_local - its name without prefix.   nc_xml_attr - the attribute of this local name; NULL: none */
const char *nc_xml_local(const xmlNode *node);
const xmlAttr *nc_xml_attr(const xmlNode *node, const char *name);

/* nc_xml_line - the text in node, as one printable line in out[size]: blanks as one, at most size - 1 bytes of it */
void nc_xml_line(const xmlNode *node, char *out, size_t size);

#endif
