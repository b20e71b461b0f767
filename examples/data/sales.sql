-- The sales database of the demo: customers, products, orders and their items.
--
--   psql -v ON_ERROR_STOP=1 -d sales -f sales.sql

CREATE TYPE region AS ENUM ('north', 'south', 'east', 'west');
CREATE TYPE customer_tier AS ENUM ('bronze', 'silver', 'gold');
CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'cancelled');

CREATE TABLE customers (
    customer_id   integer PRIMARY KEY,
    customer_key  uuid NOT NULL UNIQUE,
    name          text NOT NULL,
    company       varchar(60),
    email         text NOT NULL UNIQUE,
    region        region NOT NULL,
    tier          customer_tier NOT NULL,
    credit_limit  numeric(12, 2),
    newsletter    boolean NOT NULL DEFAULT false,
    interests     text[] NOT NULL DEFAULT '{}',
    attributes    jsonb,
    signed_up     date NOT NULL,
    created_at    timestamptz NOT NULL
);
COMMENT ON TABLE customers IS 'people who bought at least once, or opened an account';
COMMENT ON COLUMN customers.email IS 'joins with marketing.leads.email and the lake''s customer_email';
COMMENT ON COLUMN customers.region IS 'joins with lake.raw.regional_targets.region';
COMMENT ON COLUMN customers.credit_limit IS 'EUR; NULL for prepayment';

INSERT INTO customers VALUES
( 1, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a01', 'Ada Becker',      'Becker Optik',      'ada.becker@example.com',      'north', 'gold',   20000.00, true,  '{analytics,storage}',    '{"vat": "DE811", "contact": {"language": "de"}}', '2025-06-12', '2025-06-12 08:31:04+00'),
( 2, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a02', 'Bruno Costa',     'Costa & Filhos',    'bruno.costa@example.com',     'south', 'silver', 8000.00,  true,  '{sensors}',              '{"vat": "PT502", "contact": {"language": "pt"}}', '2025-07-03', '2025-07-03 13:02:51+00'),
( 3, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a03', 'Chiara Damiani',  'Damiani Vini',      'chiara.damiani@example.com',  'south', 'bronze', NULL,     false, '{}',                     NULL,                                              '2025-07-19', '2025-07-19 17:45:00+00'),
( 4, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a04', 'David Ekberg',    'Ekberg Logistik',   'david.ekberg@example.com',    'north', 'silver', 12000.00, true,  '{gateways,sensors}',     '{"vat": "SE556", "contact": {"language": "sv"}}', '2025-08-01', '2025-08-01 06:15:22+00'),
( 5, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a05', 'Elena Farkas',    NULL,                'elena.farkas@example.com',    'east',  'bronze', 1500.00,  true,  '{analytics}',            '{"student": true}',                               '2025-08-30', '2025-08-30 20:59:59+00'),
( 6, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a06', 'Felix Grabowski', 'Grabowski Maszyny', 'felix.grabowski@example.com', 'east',  'gold',   35000.00, false, '{gateways,storage}',     '{"vat": "PL521", "contact": {"language": "pl"}}', '2025-09-14', '2025-09-14 09:00:00+00'),
( 7, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a07', 'Greta Holm',      'Holm Hotels',       'greta.holm@example.com',      'north', 'silver', 9000.00,  true,  '{analytics,sensors}',    '{"vat": "DK298"}',                                '2025-10-02', '2025-10-02 11:11:11+00'),
( 8, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a08', 'Hugo Iversen',    'Iversen Fisk',      'hugo.iversen@example.com',    'west',  'bronze', 3000.00,  false, '{storage}',              '{}',                                              '2025-10-21', '2025-10-21 05:40:10+00'),
( 9, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a09', 'Inés Jurado',     'Jurado Solar',      'ines.jurado@example.com',     'south', 'gold',   28000.00, true,  '{sensors,gateways}',     '{"vat": "ES441", "contact": {"language": "es"}}', '2025-11-05', '2025-11-05 15:30:00+00'),
(10, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a10', 'Jonas Keller',    'Keller Uhren',      'jonas.keller@example.com',    'west',  'silver', 10000.00, true,  '{analytics}',            '{"vat": "CHE-109"}',                              '2025-11-18', '2025-11-18 07:07:07+00'),
(11, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a11', 'Katrin Lange',    'Lange Bau',         'katrin.lange@example.com',    'west',  'bronze', NULL,     false, '{}',                     '{"note": "pays \"on time\", mostly"}',            '2025-12-09', '2025-12-09 12:00:00+00'),
(12, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a12', 'Luca Moretti',    'Moretti Moto',      'luca.moretti@example.com',    'south', 'silver', 7500.00,  true,  '{gateways}',             NULL,                                              '2026-01-11', '2026-01-11 16:20:30+00'),
(13, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a13', 'Mila Novak',      'Novak Pharma',      'mila.novak@example.com',      'east',  'gold',   40000.00, true,  '{storage,analytics}',    '{"vat": "CZ274", "contact": {"language": "cs"}}', '2026-01-27', '2026-01-27 10:10:10+00'),
(14, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a14', 'Niels Olsen',     NULL,                'niels.olsen@example.com',     'north', 'bronze', 500.00,   false, '{sensors}',              '{"student": false}',                              '2026-02-08', '2026-02-08 18:18:18+00'),
(15, '0b6f6c1e-52f7-4f0e-9a36-1d1f8f1c0a15', 'Olga Petrova',    'Petrova Textil',    'olga.petrova@example.com',    'east',  'silver', 6000.00,  true,  '{analytics,gateways}',   '{"vat": "BG175"}',                                '2026-02-20', '2026-02-20 23:59:59.999+00');

CREATE TABLE products (
    product_id    integer PRIMARY KEY,
    sku           char(8) NOT NULL UNIQUE,
    name          text NOT NULL,
    category      text NOT NULL,
    price         numeric(12, 2) NOT NULL,
    weight_kg     double precision,
    rating        real,
    stock         smallint NOT NULL,
    discontinued  boolean NOT NULL DEFAULT false,
    details       jsonb,
    launched      date
);
COMMENT ON TABLE products IS 'the catalogue, with list prices in EUR';
COMMENT ON COLUMN products.weight_kg IS 'NULL for software';

INSERT INTO products VALUES
( 1, 'SEN-0001', 'Thermo Sensor',     'sensors',   39.90,   0.12, 4.5,  420, false, '{"range_c": [-40, 125], "ip": 67}', '2024-03-01'),
( 2, 'SEN-0002', 'Humidity Sensor',   'sensors',   44.50,   0.14, 4.25, 310, false, '{"ip": 65}',                        '2024-03-01'),
( 3, 'SEN-0003', 'Vibration Sensor',  'sensors',   89.00,   0.31, 4.75, 150, false, '{"axes": 3}',                       '2024-09-15'),
( 4, 'GTW-0001', 'Edge Gateway S',    'gateways',  249.00,  1.10, 4.0,  80,  false, '{"ports": 4}',                      '2024-05-20'),
( 5, 'GTW-0002', 'Edge Gateway L',    'gateways',  599.00,  2.75, 4.5,  35,  false, '{"ports": 16, "redundant": true}',  '2025-01-10'),
( 6, 'STO-0001', 'Archive Box 4 TB',  'storage',   420.00,  3.20, 3.75, 60,  false, '{"tb": 4}',                         '2023-11-02'),
( 7, 'STO-0002', 'Archive Box 16 TB', 'storage',   1180.00, 5.90, 4.25, 18,  false, '{"tb": 16}',                        '2025-04-04'),
( 8, 'SFT-0001', 'Analytics Basic',   'analytics', 150.00,  NULL, 3.5,  999, false, '{"seats": 5}',                      '2023-06-30'),
( 9, 'SFT-0002', 'Analytics Pro',     'analytics', 480.00,  NULL, 4.75, 999, false, '{"seats": 25, "support": "24x7"}',  '2024-06-30'),
(10, 'SEN-0000', 'Thermo Sensor (1st generation)', 'sensors', 19.90, 0.15, NULL, 0, true, NULL,                          NULL);

CREATE TABLE orders (
    order_id     bigint PRIMARY KEY,
    customer_id  integer NOT NULL REFERENCES customers,
    status       order_status NOT NULL,
    ordered_at   timestamptz NOT NULL,
    ship_date    date,
    discount     numeric(5, 4) NOT NULL DEFAULT 0,
    note         text
);
COMMENT ON TABLE orders IS 'one row an order; its amount is the sum of its items';
COMMENT ON COLUMN orders.ship_date IS 'NULL until it left the warehouse';
COMMENT ON COLUMN orders.discount IS 'a share: 0.0500 is five per cent';

INSERT INTO orders VALUES
(1001,  1, 'shipped',   '2026-01-08 09:14:00+00', '2026-01-10', 0.0500, NULL),
(1002,  2, 'shipped',   '2026-01-15 14:30:12+00', '2026-01-17', 0,      'leave at the gate'),
(1003,  6, 'shipped',   '2026-01-20 08:00:45+00', '2026-01-26', 0.1000, NULL),
(1004,  4, 'shipped',   '2026-01-29 16:47:03+00', '2026-02-02', 0,      NULL),
(1005,  9, 'shipped',   '2026-02-03 10:05:30+00', '2026-02-05', 0.0500, 'with data sheets'),
(1006, 12, 'cancelled', '2026-02-04 19:22:18+00', NULL,         0,      'ordered twice'),
(1007, 12, 'shipped',   '2026-02-05 07:55:00+00', '2026-02-09', 0,      NULL),
(1008, 13, 'shipped',   '2026-02-10 12:34:56+00', '2026-02-16', 0.1250, NULL),
(1009,  7, 'shipped',   '2026-02-14 21:03:09+00', '2026-02-17', 0,      'gift wrap, please'),
(1010,  1, 'shipped',   '2026-02-19 11:11:00+00', '2026-02-20', 0.0500, NULL),
(1011, 10, 'shipped',   '2026-02-23 06:40:27+00', '2026-02-26', 0,      NULL),
(1012,  5, 'shipped',   '2026-02-25 22:15:00+00', '2026-03-02', 0,      NULL),
(1013, 15, 'paid',      '2026-02-28 23:30:00+00', NULL,         0,      NULL),
(1014,  9, 'shipped',   '2026-03-01 08:20:41+00', '2026-03-03', 0.0500, NULL),
(1015, 13, 'shipped',   '2026-03-02 13:45:59+00', '2026-03-05', 0.1250, 'second site: Brno'),
(1016,  8, 'paid',      '2026-03-03 17:08:14+00', NULL,         0,      NULL),
(1017,  7, 'paid',      '2026-03-04 09:09:09+00', NULL,         0.0250, NULL),
(1018, 14, 'pending',   '2026-03-05 15:00:00+00', NULL,         0,      NULL),
(1019,  6, 'paid',      '2026-03-06 10:26:33+00', NULL,         0.1000, NULL),
(1020,  2, 'pending',   '2026-03-07 18:59:30+00', NULL,         0,      NULL);

CREATE TABLE order_items (
    order_id    bigint NOT NULL REFERENCES orders,
    line        smallint NOT NULL,
    product_id  integer NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity > 0),
    unit_price  numeric(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);
COMMENT ON TABLE order_items IS 'the lines of the orders, at the price of the day';

INSERT INTO order_items VALUES
(1001, 1, 1,  40, 39.90),  (1001, 2, 4,  2, 249.00),  (1001, 3, 8, 1, 150.00),
(1002, 1, 2,  25, 44.50),  (1002, 2, 1, 25, 38.00),
(1003, 1, 5,   6, 599.00), (1003, 2, 7,  1, 1180.00), (1003, 3, 9, 1, 480.00),
(1004, 1, 3,  12, 89.00),  (1004, 2, 4,  1, 249.00),
(1005, 1, 1, 120, 36.50),  (1005, 2, 5,  4, 599.00),
(1006, 1, 4,   2, 249.00),
(1007, 1, 4,   2, 249.00), (1007, 2, 2, 10, 44.50),
(1008, 1, 7,   3, 1150.00), (1008, 2, 9, 2, 480.00),
(1009, 1, 2,  30, 44.50),  (1009, 2, 8,  1, 150.00),
(1010, 1, 9,   1, 480.00), (1010, 2, 6,  1, 420.00),
(1011, 1, 8,   2, 150.00), (1011, 2, 1, 15, 39.90),
(1012, 1, 10,  3, 19.90),  (1012, 2, 8,  1, 75.00),
(1013, 1, 4,   4, 245.00), (1013, 2, 3,  8, 89.00),
(1014, 1, 3,  20, 85.00),  (1014, 2, 1, 60, 37.00),
(1015, 1, 6,   2, 410.00), (1015, 2, 7,  1, 1150.00), (1015, 3, 9, 1, 480.00),
(1016, 1, 6,   1, 420.00),
(1017, 1, 8,   1, 150.00), (1017, 2, 3,  5, 89.00),   (1017, 3, 2, 5, 44.50),
(1018, 1, 1,   2, 39.90),
(1019, 1, 5,   3, 599.00), (1019, 2, 4,  5, 249.00),
(1020, 1, 2,   8, 44.50),  (1020, 2, 1, 12, 39.90);

CREATE VIEW order_totals AS
SELECT o.order_id, o.customer_id, o.status, o.ordered_at,
       count(*) AS lines,
       sum(i.quantity * i.unit_price)::numeric(14, 2) AS gross_amount,
       round(sum(i.quantity * i.unit_price) * (1 - o.discount), 2)::numeric(14, 2) AS net_amount
FROM orders o JOIN order_items i USING (order_id)
GROUP BY o.order_id;
COMMENT ON VIEW order_totals IS 'what each order comes to, before and after its discount';

CREATE INDEX orders_customer_id ON orders (customer_id);
ANALYZE;
