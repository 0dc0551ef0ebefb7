-- The shop's database: what it sells, who buys, what was ordered, sent and returned, what the shop promises.
-- Money is in whole US cents, dates are YYYY-MM-DD in UTC. The .csv files beside this one fill the tables; after.sql
-- follows them. Tables are STRICT so that a slip in a .csv is an error and not a surprise.

CREATE TABLE authors (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  bio  TEXT NOT NULL
) STRICT;

-- `also` holds the words by which people ask for a genre.
CREATE TABLE genres (
  name        TEXT PRIMARY KEY,
  also        TEXT NOT NULL,
  description TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row is one series (or one-shot). `price_cents` is the price of one volume; `stock` counts complete sets on the
-- shelf, so a title in stock has every volume in stock. Announced titles are not out yet and can be pre-ordered.
CREATE TABLE titles (
  id            INTEGER PRIMARY KEY,
  title         TEXT NOT NULL UNIQUE COLLATE NOCASE,
  author_id     INTEGER NOT NULL REFERENCES authors (id),
  artist_id     INTEGER NOT NULL REFERENCES authors (id),
  publisher     TEXT NOT NULL,
  demographic   TEXT NOT NULL CHECK (demographic IN ('kodomo', 'shonen', 'shojo', 'seinen', 'josei')),
  age_rating    TEXT NOT NULL CHECK (age_rating IN ('all', 'teen', 'mature')),
  language      TEXT NOT NULL CHECK (language IN ('English', 'Japanese')),
  first_year    INTEGER NOT NULL CHECK (first_year BETWEEN 1950 AND 2100),
  volumes       INTEGER NOT NULL CHECK (volumes BETWEEN 1 AND 99),
  status        TEXT NOT NULL CHECK (status IN ('ongoing', 'complete', 'one-shot', 'announced')),
  price_cents   INTEGER NOT NULL CHECK (price_cents > 0),
  stock         INTEGER NOT NULL CHECK (stock >= 0),
  reader_rating REAL NOT NULL CHECK (reader_rating BETWEEN 1 AND 5),
  release_on    TEXT CHECK ((release_on IS NOT NULL) = (status = 'announced')),
  themes        TEXT,
  description   TEXT NOT NULL,
  min_age       INTEGER GENERATED ALWAYS AS (CASE age_rating WHEN 'all' THEN 0 WHEN 'teen' THEN 13 ELSE 18 END) VIRTUAL,
  CHECK (status <> 'announced' OR stock = 0)
) STRICT;
CREATE INDEX titles_by_author ON titles (author_id);
CREATE INDEX titles_by_artist ON titles (artist_id);

CREATE TABLE title_genres (
  title_id INTEGER NOT NULL REFERENCES titles (id),
  genre    TEXT NOT NULL REFERENCES genres (name),
  PRIMARY KEY (title_id, genre)
) STRICT, WITHOUT ROWID;
CREATE INDEX title_genres_by_genre ON title_genres (genre, title_id);

CREATE TABLE customers (
  id             TEXT PRIMARY KEY,
  name           TEXT NOT NULL,
  email          TEXT NOT NULL UNIQUE,
  birth_year     INTEGER,
  street         TEXT NOT NULL,
  city           TEXT NOT NULL,
  region         TEXT,
  postal_code    TEXT NOT NULL,
  country        TEXT NOT NULL,
  joined_on      TEXT NOT NULL,
  loyalty_points INTEGER NOT NULL CHECK (loyalty_points >= 0)
) STRICT;

CREATE TABLE orders (
  id               TEXT PRIMARY KEY CHECK (id GLOB 'MA-[0-9][0-9][0-9][0-9][0-9]'),
  customer_id      TEXT NOT NULL REFERENCES customers (id),
  status           TEXT NOT NULL CHECK (status IN ('processing', 'shipped', 'delivered', 'cancelled', 'returned')),
  placed_on        TEXT NOT NULL,
  shipping_method  TEXT NOT NULL CHECK (shipping_method IN ('standard', 'express', 'international')),
  shipping_cents   INTEGER NOT NULL CHECK (shipping_cents >= 0),
  ship_street      TEXT NOT NULL,
  ship_city        TEXT NOT NULL,
  ship_region      TEXT,
  ship_postal_code TEXT NOT NULL,
  ship_country     TEXT NOT NULL
) STRICT;
CREATE INDEX orders_by_customer ON orders (customer_id, placed_on);

CREATE TABLE order_items (
  id         INTEGER PRIMARY KEY,
  order_id   TEXT NOT NULL REFERENCES orders (id),
  line       INTEGER NOT NULL CHECK (line > 0),
  title_id   INTEGER NOT NULL REFERENCES titles (id),
  volume     INTEGER NOT NULL CHECK (volume > 0),
  quantity   INTEGER NOT NULL CHECK (quantity > 0),
  unit_cents INTEGER NOT NULL CHECK (unit_cents > 0),
  UNIQUE (order_id, line)
) STRICT;

CREATE TABLE shipments (
  order_id     TEXT PRIMARY KEY REFERENCES orders (id),
  carrier      TEXT NOT NULL,
  tracking     TEXT NOT NULL UNIQUE,
  shipped_on   TEXT NOT NULL,
  eta_on       TEXT NOT NULL,
  delivered_on TEXT
) STRICT;

-- `request_key` is the idempotency key of the call that asked for the return.
CREATE TABLE returns (
  id           INTEGER PRIMARY KEY,
  order_id     TEXT NOT NULL REFERENCES orders (id),
  reason       TEXT NOT NULL CHECK (reason IN ('damaged', 'wrong_item', 'changed_mind', 'other')),
  details      TEXT,
  status       TEXT NOT NULL CHECK (status IN ('awaiting_parcel', 'refunded')),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  requested_on TEXT NOT NULL,
  refunded_on  TEXT,
  request_key  TEXT UNIQUE
) STRICT;
CREATE INDEX returns_by_order ON returns (order_id);

-- The primary key is what makes it impossible to refund a line twice.
CREATE TABLE return_items (
  order_item_id INTEGER PRIMARY KEY REFERENCES order_items (id),
  return_id     INTEGER NOT NULL REFERENCES returns (id)
) STRICT;

-- What the assistant changed, for the shop's staff.
CREATE TABLE order_events (
  id        INTEGER PRIMARY KEY,
  order_id  TEXT NOT NULL REFERENCES orders (id),
  at        TEXT NOT NULL,
  what      TEXT NOT NULL
) STRICT;

CREATE TABLE policies (
  id       INTEGER PRIMARY KEY,
  topic    TEXT NOT NULL UNIQUE,
  keywords TEXT NOT NULL,
  text     TEXT NOT NULL
) STRICT;

CREATE TABLE knowledge (
  id      INTEGER PRIMARY KEY,
  term    TEXT NOT NULL UNIQUE COLLATE NOCASE,
  aliases TEXT,
  kind    TEXT NOT NULL CHECK (kind IN ('manga', 'cloud', 'ai')),
  text    TEXT NOT NULL
) STRICT;

-- Words that say nothing about what somebody is looking for.
CREATE TABLE stop_words (word TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- The day on which the dates of the .csv files are "today"; after.sql moves them from here to the real today.
CREATE TABLE calendar (today TEXT NOT NULL) STRICT;
INSERT INTO calendar VALUES ('2026-11-15');

CREATE VIRTUAL TABLE titles_fts USING fts5 (
  title, creators, genres, themes, description, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE policies_fts USING fts5 (topic, keywords, text, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE knowledge_fts USING fts5 (term, aliases, text, tokenize = 'porter unicode61 remove_diacritics 2');

-- A title as a customer sees it.
CREATE VIEW catalogue AS
SELECT t.id, t.title, w.name AS author, d.name AS artist,
       (SELECT group_concat(genre, ', ') FROM title_genres g WHERE g.title_id = t.id) AS genres,
       t.demographic, t.age_rating, t.min_age, t.volumes, t.status, round(t.price_cents / 100.0, 2) AS price_usd,
       t.price_cents, t.stock, t.reader_rating, t.publisher, t.first_year, t.language, t.release_on, t.themes, t.description,
       t.author_id, t.artist_id,
       CASE WHEN t.status = 'announced' THEN 'pre-order, out on ' || t.release_on
            WHEN t.stock = 0 THEN 'sold out'
            WHEN t.stock <= 3 THEN 'in stock, only ' || t.stock || ' left'
            ELSE 'in stock' END AS availability
FROM titles t
JOIN authors w ON w.id = t.author_id
JOIN authors d ON d.id = t.artist_id;
