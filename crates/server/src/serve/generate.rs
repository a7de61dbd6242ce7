//! `POST /v1/completions` and `POST /v1/chat/completions`: from a body to an answer, whole or streamed.

use super::answering::{Answering, Piece, Visit, Wanted};
use super::drawing::Drawing;
use super::error::{Refusal, json_response};
use super::fields::Fields;
use super::growing::Grown;
use super::prompt::{Prompt, chat_prompt, messages, prompts};
use super::shape::{Shape, Usage};
use super::state::State;
use super::stream::{Streamed, stream};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use espalier_search::{Finish, Told};
use std::sync::Arc;

/// Tokens of a completion that says nothing of its length, as in OpenAI's API.
const COMPLETION_TOKENS: usize = 16;

/// A request that makes sense.
pub(crate) struct Generation {
    pub prompts: Vec<Prompt>,
    pub drawing: Drawing,
    pub shape: Shape,
    pub wanted: Wanted,
}

impl Generation {
    /// Reads a body for completions.
    pub fn of_completion(mut fields: Fields, state: &State) -> Result<Generation, Refusal> {
        state.check_model(&mut fields)?;
        let shape = Shape::read(&mut fields, false)?;
        let drawing = Drawing::read(&mut fields, 0..=u64::from(u32::MAX), state)?;
        let prompts = prompts(&mut fields, "prompt", state)?;
        fields.end()?;
        Generation::new(prompts, drawing, shape, Some(COMPLETION_TOKENS), state)
    }

    /// Reads a body for chat.
    pub fn of_chat(mut fields: Fields, state: &State) -> Result<Generation, Refusal> {
        state.check_model(&mut fields)?;
        let shape = Shape::read(&mut fields, true)?;
        let drawing = Drawing::read(&mut fields, 1..=u64::from(u32::MAX), state)?;
        let messages = messages(&mut fields)?;
        fields.end()?;
        Generation::new(vec![chat_prompt(&messages, state)?], drawing, shape, None, state)
    }

    fn new(
        prompts: Vec<Prompt>,
        drawing: Drawing,
        shape: Shape,
        otherwise: Option<usize>,
        state: &State,
    ) -> Result<Generation, Refusal> {
        let wishes = shape.wishes(&drawing, state)?;
        let max_tokens = prompts.iter().map(|prompt| drawing.max_tokens(prompt.ids.len(), otherwise, state)).collect();
        let trees = (0..prompts.len()).collect();
        let wanted = Wanted { k: drawing.n, max_tokens, trees, wishes, wants_value: false };
        Ok(Generation { prompts, drawing, shape, wanted })
    }

    /// Answers it.
    pub async fn answer(self, state: &Arc<State>, visit: Visit) -> Result<Response<Body>, Refusal> {
        let Generation { prompts, drawing, shape, wanted } = self;
        let answering = Answering::begin(state, &prompts, &drawing, wanted, visit).await?;
        if shape.streams {
            return Ok(stream(Streamed::new(Arc::clone(state), answering, prompts, shape, drawing.n)));
        }
        whole(state, answering, &prompts, &shape, drawing.n).await
    }
}

/// One continuation as far as it is there.
#[derive(Clone, Default)]
struct Row {
    grown: Grown,
    finish: Option<Finish>,
}

async fn whole(
    state: &State,
    mut answering: Answering,
    prompts: &[Prompt],
    shape: &Shape,
    n: usize,
) -> Result<Response<Body>, Refusal> {
    let mut rows = vec![Row::default(); prompts.len() * n];
    let mut read: Vec<Vec<Told>> = vec![Vec::new(); prompts.len()];
    while let Some(piece) = answering.next().await {
        match piece? {
            Piece::Row { row, grown, finish } => {
                let Row { grown: so_far, finish: end } = &mut rows[row];
                so_far.text.push_str(&grown.text);
                so_far.tokens.extend(grown.tokens);
                so_far.offsets.extend(grown.offsets);
                *end = finish;
            }
            Piece::Prompt { prompt, tokens } => read[prompt].extend(tokens),
            Piece::Value { .. } => {}
        }
    }
    let usage = Usage {
        prompt: prompts.iter().map(|prompt| prompt.ids.len()).sum(),
        completion: rows.iter().map(|row| row.grown.tokens.len()).sum(),
        reasoning: 0,
    };
    let choices = rows.iter().enumerate().map(|(row, Row { grown, finish })| {
        let mut choice = shape.choice(row, grown, *finish, state);
        shape.add_prompt(&mut choice, &prompts[row / n], &read[row / n], state);
        choice
    });
    let body = shape.head(state).with(choices.collect(), Some(usage));
    Ok(json_response(StatusCode::OK, &body))
}
