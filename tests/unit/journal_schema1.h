/* journal_schema1.h - a journal as the first rekeyd made it, as SQL text: it must stay readable for ever */
#ifndef RK_TEST_JOURNAL_SCHEMA1_H
#define RK_TEST_JOURNAL_SCHEMA1_H

static const char schema1[] =
    "PRAGMA journal_mode=DELETE; BEGIN;"
    "CREATE TABLE links(no INTEGER PRIMARY KEY, link TEXT NOT NULL, end TEXT NOT NULL, role INTEGER, phase INTEGER,"
    " term INTEGER, seq INTEGER, floor INTEGER, cur_seq INTEGER, prev_seq INTEGER, cur TEXT, prev TEXT, cand TEXT,"
    " mine TEXT, theirs TEXT, cur_since_ms INTEGER, done INTEGER NOT NULL DEFAULT 0,"
    " failed INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0, UNIQUE(link, end));"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, no INTEGER, before INTEGER, seq INTEGER, event TEXT, key_id TEXT,"
    " result INTEGER, why TEXT, took_ms INTEGER, at_ms INTEGER);"
    "CREATE VIEW rotations AS SELECT link, end, e.seq AS seq, max(key_id) AS key_id, min(at_ms) AS started_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN at_ms END) AS finished_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN result END) AS result"
    " FROM events e JOIN links USING(no) WHERE e.seq<>0 GROUP BY no, e.seq;"
    "PRAGMA application_id=1380665905;"
    "PRAGMA user_version=1;"
    "INSERT INTO links VALUES(1,'x','a',1,3,1,7,9,6,5,'cur-7','prev-7','cand-7','00112233445566778899aabbccddeeff',"
    "'ffeeddccbbaa99887766554433221100',1700000000123,2,1,5);"
    "INSERT INTO links VALUES(2,'x','b',2,0,1,6,6,6,0,'cur-6','','','','',1600000000000,0,0,0);"
    "INSERT INTO links VALUES(3,'y','a',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,0,4);"
    "INSERT INTO events VALUES(1,1,0,5,'rotated','k5',0,'',20,1000);"
    "INSERT INTO events VALUES(2,1,1,6,'burnt','k6',-1002,'late',30,2000);"
    "INSERT INTO events VALUES(3,1,2,6,'rotated','k6',0,'',40,3000);"
    "INSERT INTO events VALUES(4,3,0,1,'rotated','k1',0,'',50,4000);"
    "INSERT INTO events VALUES(5,1,3,7,'staged','k7',0,'',60,5000);"
    "COMMIT;";

#endif
