-- Lead-to-customer journey: which leads of marketing became customers of sales, how long it took, and what they bought.
-- Sources: marketing (PostgreSQL) x sales (PostgreSQL)
SELECT
    l.full_name AS lead,
    c.name AS campaign,
    c.channel,
    CAST(l.created_at AS date) AS became_lead,
    CAST(min(o.ordered_at) AS date) AS first_order,
    count(DISTINCT o.order_id) AS orders,
    coalesce(sum(i.quantity * i.unit_price), 0) AS revenue,
    max(cu.tier) AS tier
FROM marketing.public.leads l
JOIN marketing.public.campaigns c ON c.campaign_id = l.campaign_id
LEFT JOIN sales.public.customers cu ON cu.email = l.email
LEFT JOIN sales.public.orders o
    ON o.customer_id = cu.customer_id AND o.ordered_at >= l.created_at AND o.status <> 'cancelled'
LEFT JOIN sales.public.order_items i ON i.order_id = o.order_id
GROUP BY l.lead_id, l.full_name, c.name, c.channel, l.created_at
ORDER BY revenue DESC, lead
