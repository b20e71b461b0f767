-- Customer activity: visits to the website and open support tickets beside what each customer ordered.
-- Sources: sales (PostgreSQL) x lake.raw.website_traffic (Parquet in S3, by date) x lake.raw.support_tickets (JSON in S3)
WITH visits AS (
    SELECT customer_email, count(*) AS visits, sum(duration_seconds) AS seconds, max(date) AS last_visit
    FROM lake.raw.website_traffic
    WHERE date BETWEEN DATE '2026-03-02' AND DATE '2026-03-06' AND customer_email IS NOT NULL
    GROUP BY customer_email
),
tickets AS (
    SELECT
        t.customer.email AS email,
        count(*) AS tickets,
        sum(CASE WHEN t.status = 'open' THEN 1 ELSE 0 END) AS open_tickets
    FROM lake.raw.support_tickets t
    WHERE t.customer.email IS NOT NULL
    GROUP BY t.customer.email
),
purchases AS (
    SELECT o.customer_id, count(DISTINCT o.order_id) AS orders, sum(i.quantity * i.unit_price) AS amount
    FROM sales.public.orders o
    JOIN sales.public.order_items i ON i.order_id = o.order_id
    WHERE o.status <> 'cancelled'
    GROUP BY o.customer_id
)
SELECT
    cu.name AS customer,
    cu.region,
    cu.tier,
    v.visits,
    v.seconds / 60 AS minutes,
    v.last_visit,
    coalesce(t.tickets, 0) AS tickets,
    coalesce(t.open_tickets, 0) AS open_tickets,
    coalesce(p.orders, 0) AS orders,
    p.amount
FROM sales.public.customers cu
JOIN visits v ON v.customer_email = cu.email
LEFT JOIN tickets t ON t.email = cu.email
LEFT JOIN purchases p ON p.customer_id = cu.customer_id
ORDER BY v.visits DESC, cu.name
LIMIT 10
