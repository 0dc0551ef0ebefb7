CREATE TABLE orders (id TEXT PRIMARY KEY, customer_id TEXT, total REAL);
