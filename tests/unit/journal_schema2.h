/* journal_schema2.h - a journal as rekeyd made it before states were packed, as SQL text: it must stay readable for
 * ever.  It needs the function rk_sum. */
#ifndef RK_TEST_JOURNAL_SCHEMA2_H
#define RK_TEST_JOURNAL_SCHEMA2_H

static const char schema2[] =
    "PRAGMA journal_mode=DELETE; BEGIN;"
    "CREATE TABLE links(/* schema 2 */ no INTEGER PRIMARY KEY, link TEXT, end TEXT, role INTEGER, phase INTEGER,"
    " term INTEGER, seq INTEGER, floor INTEGER, cur_seq INTEGER, prev_seq INTEGER, cur TEXT, prev TEXT, cand TEXT,"
    " mine TEXT, theirs TEXT, cur_since_ms INTEGER, cur_boot INTEGER, cur_boot_ns INTEGER, flags INTEGER,"
    " start_ms INTEGER, sum INTEGER, last INTEGER, done INTEGER, failed INTEGER, tally INTEGER, UNIQUE(link, end));"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, no INTEGER, before INTEGER, seq INTEGER, event TEXT, key_id TEXT,"
    " result INTEGER, why TEXT, took_ms INTEGER, at_ms INTEGER, sum INTEGER);"
    "CREATE VIEW rotations AS SELECT link, end, e.seq AS seq, max(key_id) AS key_id, min(at_ms) AS started_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN at_ms END) AS finished_ms,"
    " max(CASE WHEN event IN ('rotated','burnt','failed') THEN result END) AS result"
    " FROM events e JOIN links USING(no) WHERE e.seq<>0 GROUP BY no, e.seq;"
    "PRAGMA application_id=1380665905;"
    "PRAGMA user_version=2;"
    "INSERT INTO links VALUES(1,'x','a',1,3,1,7,9,6,5,'cur-7','prev-7','cand-7','00112233445566778899aabbccddeeff',"
    "'ffeeddccbbaa99887766554433221100',1700000000123,-5,77,31,1700000000456,0,5,2,1,0);"
    "INSERT INTO links VALUES(2,'x','b',2,0,1,6,6,6,0,'cur-6','','','','',1600000000000,0,0,0,0,0,NULL,NULL,NULL,NULL);"
    "INSERT INTO links(no,link,end,last,done,failed) VALUES(3,'y','a',4,1,0);" /* events, and no state yet */
    "UPDATE links SET sum=rk_sum(link,end,role,phase,term,seq,floor,cur_seq,prev_seq,cur,prev,cand,mine,theirs,"
    "cur_since_ms,cur_boot,cur_boot_ns,flags,start_ms) WHERE role NOTNULL;"
    "UPDATE links SET tally=rk_sum(no,link,end,last,done,failed) WHERE last NOTNULL;"
    "INSERT INTO events VALUES(1,1,0,5,'rotated','k5',0,'',20,1000,0);"
    "INSERT INTO events VALUES(2,1,1,6,'burnt','k6',-1002,'late',30,2000,0);"
    "INSERT INTO events VALUES(3,1,2,6,'rotated','k6',0,'',40,3000,0);"
    "INSERT INTO events VALUES(4,3,0,1,'rotated','k1',0,'',50,4000,0);"
    "INSERT INTO events VALUES(5,1,3,7,'staged','k7',0,'',60,5000,0);"
    "UPDATE events SET sum=(SELECT rk_sum(link,end,id,before,events.seq,event,key_id,result,why,took_ms,at_ms)"
    " FROM links WHERE links.no=events.no);"
    "COMMIT;";

#endif
