-- Runs after the .csv files: moves their dates to today, and fills the full-text tables.

-- The shop always looks as if its last order came in yesterday, whenever the database is built: return windows are
-- open, parcels are on their way, and minors stay minors.
UPDATE orders SET placed_on = date(placed_on, (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days');
UPDATE shipments SET
  shipped_on   = date(shipped_on,   (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days'),
  eta_on       = date(eta_on,       (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days'),
  delivered_on = date(delivered_on, (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days');
UPDATE returns SET
  requested_on = date(requested_on, (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days'),
  refunded_on  = date(refunded_on,  (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days');
UPDATE titles SET release_on = date(release_on, (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days')
WHERE release_on IS NOT NULL;
UPDATE customers SET
  birth_year = birth_year + CAST(strftime('%Y', 'now') AS INTEGER) - (SELECT CAST(strftime('%Y', today) AS INTEGER) FROM calendar),
  joined_on  = date(joined_on, (julianday('now', 'start of day') - (SELECT julianday(today) FROM calendar)) || ' days');
UPDATE calendar SET today = date('now');

INSERT INTO titles_fts (rowid, title, creators, genres, themes, description)
SELECT c.id, c.title, c.author || ' ' || c.artist,
       c.genres || ', ' || c.demographic || ', ' || (
         SELECT group_concat(g.also, ', ') FROM title_genres l JOIN genres g ON g.name = l.genre WHERE l.title_id = c.id),
       coalesce(c.themes, '') || CASE c.demographic WHEN 'kodomo' THEN ', children, kids, young readers' ELSE '' END,
       c.description
FROM catalogue c;
INSERT INTO policies_fts (rowid, topic, keywords, text) SELECT id, topic, keywords, text FROM policies;
INSERT INTO knowledge_fts (rowid, term, aliases, text) SELECT id, term, aliases, text FROM knowledge;

INSERT INTO stop_words (word) SELECT value FROM json_each('[
  "a","about","all","also","am","an","and","any","anything","are","as","at","available","be","been","best","between","book",
  "books","bucks","but","buy","by","called","can","catalog","catalogue","comic","comics","could","did","difference","dollar",
  "dollars","do","does","doing","don","done","else","ever","explain","find","for","from","get","give","good","got","had",
  "has","have","hello","hey","hi","how","i","if","in","info","information","is","it","its","just","know","like","list",
  "ll","look","looking","m","make","manga","mangas","may","me","mean","meaning","means","more","much","my","need","of","old","on",
  "one","ones","or","our","out","please","question","re","read","reading","really","recommend","s","sale","say",
  "search","see","sell","series","should","show","so","some","something","story","stories","stuff","suggest","t","tell","than","thank",
  "thanks","that","the","their","them","then","there","these","they","thing","things","this","title","titles","to","under",
  "us","usd","ve","very","want","was","we","were","what","when","where","which","who","whose","why","will","with","would",
  "year","years","you","your"]');
