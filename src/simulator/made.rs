//! The tasks of a submit: its own, and those that faults make with it.
//!
//! Must never decide whether the submit is accepted.

use super::order::Order;
use super::plan::{Draw, Plan};
use super::records::OtherTask;

/// The tasks that one submit makes.
#[derive(Debug)]
pub(super) struct Made {
    /// The task that its answer names.
    pub(super) plan: Plan,
    /// The other tasks.
    pub(super) others: Vec<Other>,
}

/// A task that no answer names.
#[derive(Debug)]
pub(super) struct Other {
    /// The fault that makes it.
    pub(super) fault: &'static str,
    /// The order that it fulfills.
    pub(super) order: Order,
    /// Its fate.
    pub(super) plan: Plan,
}

impl Other {
    /// The record of the task.
    pub(super) fn record(&self) -> OtherTask {
        OtherTask { task_id: self.plan.task_id.clone(), fault: self.fault, urls: self.order.urls.clone() }
    }
}

impl Draw<'_> {
    /// Draws all tasks of a submit that is accepted now.
    pub(super) fn tasks(&mut self, order: &Order) -> Made {
        let settings = self.settings;
        let faults = &settings.faults;
        let mut plan = self.plan(order);
        let post = self.other_post(order);
        let mut happens = |name, probability| self.list_dice.fault(name, probability, &plan.task_id);
        let has_other_video = happens("other-video", faults.other_video);
        let has_second = happens("second-task", faults.second_task);
        let has_other = happens("other-task", faults.other_task);
        let has_other_same = happens("other-task-same-urls", faults.other_task_same_urls);

        if has_other_video {
            self.add_other_video(&mut plan, order, &post);
        }
        let mut others = Vec::new();
        if has_second {
            let mut second = self.plan_again(&plan, order.callback_url.is_some());
            plan.call_back_for(&mut second);
            others.push(Other { fault: "second-task", order: order.clone(), plan: second });
        }
        let callback_url = settings.default_callback_url.clone();
        if has_other {
            let order = Order { urls: vec![post], callback_url: callback_url.clone(), ..order.clone() };
            let plan = self.plan_other(&order);
            others.push(Other { fault: "other-task", order, plan });
        }
        if has_other_same {
            let order = Order { callback_url, ..order.clone() };
            let plan = self.plan_again(&plan, order.callback_url.is_some());
            others.push(Other { fault: "other-task-same-urls", order, plan });
        }
        Made { plan, others }
    }
}
