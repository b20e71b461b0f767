-- The marketing database of the demo: campaigns, their daily figures, and the leads they brought.
--
--   psql -v ON_ERROR_STOP=1 -d marketing -f marketing.sql

CREATE TYPE channel AS ENUM ('email', 'search', 'social', 'display', 'event');
CREATE TYPE lead_status AS ENUM ('new', 'contacted', 'qualified', 'converted', 'lost');

CREATE TABLE campaigns (
    campaign_id  integer PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    channel      channel NOT NULL,
    region       text NOT NULL,
    budget       numeric(12, 2) NOT NULL,
    starts       date NOT NULL,
    ends         date,
    active       boolean NOT NULL,
    audience     text[] NOT NULL,
    settings     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL
);
COMMENT ON TABLE campaigns IS 'one row a campaign; budgets in EUR';
COMMENT ON COLUMN campaigns.region IS 'joins with sales.customers.region and lake.raw.regional_targets.region';
COMMENT ON COLUMN campaigns.ends IS 'NULL while it runs without an end';

INSERT INTO campaigns VALUES
(1, 'Spring Sensors',      'email',   'north', 6000.00,  '2026-01-05', '2026-03-31', true,  '{facility managers,hotels}', '{"subject": "What does your cellar feel?"}', '2025-12-18 10:00:00+00'),
(2, 'Solar South',         'search',  'south', 9000.00,  '2026-01-12', NULL,         true,  '{installers}',               '{"keywords": ["solar", "monitoring"], "bid": 1.85}', '2025-12-20 09:30:00+00'),
(3, 'Factory Floor East',  'event',   'east',  15000.00, '2026-01-26', '2026-03-31', true,  '{plant managers,engineers}', '{"city": "Brno", "booth": "B12"}', '2026-01-04 15:45:00+00'),
(4, 'Archive for Less',    'display', 'west',  4500.00,  '2026-02-01', '2026-04-30', true,  '{it}',                       '{"formats": ["728x90", "300x250"]}', '2026-01-16 08:00:00+00'),
(5, 'Analytics Webinar',   'social',  'north', 3000.00,  '2026-02-09', '2026-03-09', true,  '{analysts,it}',              '{}', '2026-01-30 13:20:00+00'),
(6, 'Vineyard Monitoring', 'search',  'south', 3500.00,  '2026-02-15', NULL,         false, '{wineries}',                 '{"keywords": ["vineyard", "frost"], "bid": 0.95}', '2026-02-02 11:00:00+00'),
(7, 'Gateway Launch',      'display', 'east',  8000.00,  '2026-02-20', '2026-05-31', true,  '{engineers}',                '{"formats": ["160x600"]}', '2026-02-06 07:15:00+00'),
(8, 'Watchmakers',         'email',   'west',  2500.00,  '2026-02-16', '2026-03-05', false, '{}',                         '{"subject": "Time is humidity"}', '2026-02-10 16:40:00+00');

CREATE TABLE campaign_metrics (
    campaign_id         integer NOT NULL REFERENCES campaigns,
    day                 date NOT NULL,
    impressions         bigint NOT NULL,
    clicks              integer NOT NULL,
    spend               numeric(12, 2) NOT NULL,
    click_through_rate  double precision,
    PRIMARY KEY (campaign_id, day)
);
COMMENT ON TABLE campaign_metrics IS 'daily figures of the campaigns in the first week of March 2026';
COMMENT ON COLUMN campaign_metrics.click_through_rate IS 'clicks / impressions; NULL where nothing is clicked';

INSERT INTO campaign_metrics VALUES
(1, '2026-03-01', 808, 51, 45.17, 0.063119), (1, '2026-03-02', 962, 60, 39.79, 0.06237),
(1, '2026-03-03', 1007, 49, 42.60, 0.048659), (1, '2026-03-04', 769, 44, 37.84, 0.057217),
(1, '2026-03-05', 957, 61, 40.45, 0.063741), (1, '2026-03-06', 1045, 71, 45.04, 0.067943),
(1, '2026-03-07', 1060, 64, 36.17, 0.060377), (2, '2026-03-01', 3268, 168, 237.75, 0.051408),
(2, '2026-03-02', 3271, 123, 202.93, 0.037603), (2, '2026-03-03', 3221, 161, 188.10, 0.049984),
(2, '2026-03-04', 3678, 156, 180.11, 0.042414), (2, '2026-03-05', 2523, 123, 200.15, 0.048751),
(2, '2026-03-06', 2987, 147, 172.01, 0.049213), (2, '2026-03-07', 3736, 201, 191.24, 0.053801),
(3, '2026-03-01', 468, 52, 525.78, NULL), (3, '2026-03-02', 303, 39, 462.84, NULL),
(3, '2026-03-03', 452, 40, 469.91, NULL), (3, '2026-03-04', 354, 37, 512.70, NULL),
(3, '2026-03-05', 494, 49, 586.17, NULL), (3, '2026-03-06', 490, 47, 441.35, NULL),
(3, '2026-03-07', 487, 59, 499.45, NULL), (4, '2026-03-01', 7506, 72, 146.70, 0.009592),
(4, '2026-03-02', 6655, 71, 139.05, 0.010669), (4, '2026-03-03', 8951, 84, 131.56, 0.009384),
(4, '2026-03-04', 8252, 74, 141.45, 0.008968), (4, '2026-03-05', 8139, 82, 106.02, 0.010075),
(4, '2026-03-06', 9863, 89, 115.19, 0.009024), (4, '2026-03-07', 8422, 83, 114.49, 0.009855),
(5, '2026-03-01', 4108, 101, 107.91, 0.024586), (5, '2026-03-02', 5712, 110, 111.48, 0.019258),
(5, '2026-03-03', 4074, 89, 79.20, 0.021846), (5, '2026-03-04', 4642, 104, 85.18, 0.022404),
(5, '2026-03-05', 5651, 101, 92.31, 0.017873), (5, '2026-03-06', 4168, 70, 100.98, 0.016795),
(5, '2026-03-07', 5388, 133, 90.08, 0.024684), (6, '2026-03-01', 3575, 134, 196.69, 0.037483),
(6, '2026-03-02', 2928, 144, 250.00, 0.04918), (6, '2026-03-03', 2700, 139, 181.96, 0.051481),
(6, '2026-03-04', 2446, 102, 214.69, 0.041701), (6, '2026-03-05', 2635, 99, 201.57, 0.037571),
(6, '2026-03-06', 3044, 120, 231.88, 0.039422), (6, '2026-03-07', 3700, 171, 227.60, 0.046216),
(7, '2026-03-01', 9940, 85, 125.78, 0.008551), (7, '2026-03-02', 8707, 80, 104.46, 0.009188),
(7, '2026-03-03', 6684, 70, 134.17, 0.010473), (7, '2026-03-04', 7647, 79, 112.07, 0.010331),
(7, '2026-03-05', 8538, 88, 107.36, 0.010307), (7, '2026-03-06', 8758, 76, 104.42, 0.008678),
(7, '2026-03-07', 6748, 65, 107.39, 0.009632), (8, '2026-03-01', 919, 44, 39.37, 0.047878),
(8, '2026-03-02', 825, 44, 43.34, 0.053333), (8, '2026-03-03', 841, 50, 35.12, 0.059453),
(8, '2026-03-04', 983, 51, 47.91, 0.051882), (8, '2026-03-05', 689, 49, 37.27, 0.071118);

CREATE TABLE leads (
    lead_id      bigint PRIMARY KEY,
    lead_key     uuid NOT NULL UNIQUE,
    full_name    text NOT NULL,
    email        text NOT NULL,
    campaign_id  integer NOT NULL REFERENCES campaigns,
    status       lead_status NOT NULL,
    score        real,
    opted_in     boolean NOT NULL,
    tracking     jsonb,
    created_at   timestamptz NOT NULL
);
COMMENT ON TABLE leads IS 'people a campaign brought; the email finds them among the customers once they bought';
COMMENT ON COLUMN leads.email IS 'joins with sales.customers.email';

INSERT INTO leads VALUES
(501, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0501', 'Ada Becker',      'ada.becker@example.com',      1, 'converted', 0.75,  true,  '{"utm": {"source": "newsletter", "medium": "email"}}', '2026-01-06 07:50:00+00'),
(502, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0502', 'Bruno Costa',     'bruno.costa@example.com',     2, 'converted', 0.5,   true,  '{"utm": {"source": "search", "medium": "cpc"}}',       '2026-01-13 18:05:42+00'),
(503, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0503', 'David Ekberg',    'david.ekberg@example.com',    1, 'converted', 0.625, true,  NULL,                                                   '2026-01-22 12:00:00+00'),
(504, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0504', 'Mila Novak',      'mila.novak@example.com',      3, 'converted', 0.875, true,  '{"badge": 2291}',                                      '2026-01-27 10:10:10+00'),
(505, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0505', 'Inés Jurado',     'ines.jurado@example.com',     2, 'converted', 0.875, true,  '{"utm": {"source": "search", "medium": "cpc"}}',       '2026-01-30 09:41:17+00'),
(506, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0506', 'Luca Moretti',    'luca.moretti@example.com',    2, 'converted', 0.5,   false, NULL,                                                   '2026-02-02 20:30:00+00'),
(507, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0507', 'Felix Grabowski', 'felix.grabowski@example.com', 3, 'converted', 0.75,  true,  '{"badge": 2304}',                                      '2026-02-11 14:25:36+00'),
(508, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0508', 'Greta Holm',      'greta.holm@example.com',      5, 'converted', 0.625, true,  '{"utm": {"source": "social", "medium": "post"}}',      '2026-02-12 17:17:17+00'),
(509, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0509', 'Peter Quandt',    'peter.quandt@example.com',    4, 'contacted', 0.25,  true,  '{"utm": {"source": "banner", "medium": "display"}}',   '2026-02-13 08:08:08+00'),
(510, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0510', 'Jonas Keller',    'jonas.keller@example.com',    8, 'converted', 0.5,   true,  NULL,                                                   '2026-02-18 10:00:00+00'),
(511, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0511', 'Rosa Santos',     'rosa.santos@example.com',     6, 'qualified', 0.375, true,  '{"utm": {"source": "search", "medium": "cpc"}}',       '2026-02-19 19:19:19+00'),
(512, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0512', 'Hugo Iversen',    'hugo.iversen@example.com',    4, 'converted', 0.375, false, '{"utm": {"source": "banner", "medium": "display"}}',   '2026-02-24 06:45:00+00'),
(513, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0513', 'Tomas Urban',     'tomas.urban@example.com',     7, 'lost',      NULL,  false, '{"utm": {"source": "banner", "medium": "display"}}',   '2026-02-26 22:10:05+00'),
(514, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0514', 'Chiara Damiani',  'chiara.damiani@example.com',  6, 'qualified', 0.625, true,  NULL,                                                   '2026-03-02 13:37:00+00'),
(515, '7c1d9a50-0c39-4be1-8f5e-3a7d5b1e0515', 'Vera Winter',     'vera.winter@example.com',     5, 'new',       0.125, true,  '{"utm": {"source": "social", "medium": "post"}}',      '2026-03-06 21:00:59+00');

CREATE INDEX leads_email ON leads (email);
ANALYZE;
