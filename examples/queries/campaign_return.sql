-- Campaign return: what each campaign cost, what its leads bought, and how much of the region's target that is.
-- Sources: marketing (PostgreSQL) x sales (PostgreSQL) x lake.raw.regional_targets (CSV in S3)
WITH spend AS (
    SELECT campaign_id, sum(spend) AS spend, sum(clicks) AS clicks
    FROM marketing.public.campaign_metrics
    GROUP BY campaign_id
),
revenue AS (
    SELECT l.campaign_id, count(DISTINCT cu.customer_id) AS customers, sum(i.quantity * i.unit_price) AS revenue
    FROM marketing.public.leads l
    JOIN sales.public.customers cu ON cu.email = l.email
    JOIN sales.public.orders o ON o.customer_id = cu.customer_id AND o.ordered_at >= l.created_at
    JOIN sales.public.order_items i ON i.order_id = o.order_id
    WHERE o.status <> 'cancelled'
    GROUP BY l.campaign_id
)
SELECT
    c.name AS campaign,
    c.region,
    s.clicks,
    s.spend,
    coalesce(r.customers, 0) AS customers,
    coalesce(r.revenue, 0) AS revenue,
    round(CAST(coalesce(r.revenue, 0) AS double) / CAST(s.spend AS double), 2) AS return_on_spend,
    round(100 * CAST(coalesce(r.revenue, 0) AS double) / CAST(t.target AS double), 1) AS percent_of_target,
    t.manager
FROM marketing.public.campaigns c
JOIN spend s ON s.campaign_id = c.campaign_id
LEFT JOIN revenue r ON r.campaign_id = c.campaign_id
JOIN lake.raw.regional_targets t ON t.region = c.region AND t.quarter = '2026-Q1'
ORDER BY return_on_spend DESC, campaign
